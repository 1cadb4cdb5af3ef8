/** `#/cameras/7`: everything about one camera, and what can be done. */
import { useComputed, useSignal } from "@preact/signals"
import type { CameraDetail } from "@restream/core/http"
import { isFailing } from "@restream/core/operator-view"
import type { ComponentChildren } from "preact"
import { useEffect, useRef } from "preact/hooks"
import { getCamera, Refused, sendCommand } from "./api.ts"
import { hrefTo } from "./route.ts"
import { Chart } from "./chart.tsx"
import { LivePicture } from "./live.tsx"
import { Section, Since, streamText, WordLabel } from "./parts.tsx"
import {
  bitrateOf,
  type CameraStream,
  cameras,
  nodes,
  now,
  readersOf,
  type Substream
} from "./store.ts"
import { bitrate, bytes, clockTime, count, dateTime, duration, language, words } from "./text.ts"

const refreshMs = 5000

const Copyable = ({ text }: { readonly text: string }) => {
  const w = words()
  const isCopied = useSignal(false)
  const copy = async () => {
    // needs a secure context; elsewhere the address can be selected by hand
    await navigator.clipboard.writeText(text)
    isCopied.value = true
    setTimeout(() => {
      isCopied.value = false
    }, 2000)
  }
  return (
    <>
      <code>{text}</code>{" "}
      {isSecureContext && (
        <button class="plain" onClick={() => void copy()}>
          {isCopied.value ? w.copied : w.copy}
        </button>
      )}
    </>
  )
}

/** The words of the last changes as a bar, and the same as a list. */
const Timeline = ({ timeline }: Pick<CameraDetail, "timeline">) => {
  const first = timeline[0]
  if (first === undefined) return null
  const span = Math.max(1, now.value - first.at)
  const parts = timeline.map((item, index) => ({
    ...item,
    until: timeline[index + 1]?.at ?? now.value
  }))
  return (
    <>
      <svg class="timeline" viewBox="0 0 1000 20" preserveAspectRatio="none" aria-hidden="true">
        {parts.map(({ at, until, word }) => (
          <rect
            key={at}
            class={word}
            x={((at - first.at) / span) * 1000}
            width={Math.max(1, ((until - at) / span) * 1000)}
            height={20}
          />
        ))}
      </svg>
      <ol class="changes">
        {parts.toReversed().map(({ at, reason, until, word }) => (
          <li key={at}>
            <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
              {clockTime(at)}
            </time>
            <WordLabel word={word} />
            <span>{duration(until - at)}</span>
            <span class="quiet">{reason}</span>
          </li>
        ))}
      </ol>
    </>
  )
}

const Fact = ({
  children,
  name
}: {
  readonly name: string
  readonly children: ComponentChildren
}) => (
  <>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </>
)

const Facts = ({ detail }: { readonly detail: CameraDetail }) => {
  const w = words()
  const { bytes: received, lost, packets } = detail.totals
  const share = new Intl.NumberFormat(language.value, {
    style: "percent",
    maximumFractionDigits: 2
  })
  return (
    <dl>
      <Fact name={w.stream}>{streamText(detail) || w.unknown}</Fact>
      <Fact name={w.engine}>{detail.engine ?? w.unknown}</Fact>
      <Fact name={w.path}>{detail.path}</Fact>
      {detail.mediaServerName !== undefined && (
        <Fact name={w.mediaServer}>{detail.mediaServerName}</Fact>
      )}
      <Fact name={w.address}>{detail.address}</Fact>
      {detail.probeMs !== null && (
        <Fact name={w.probe}>
          {detail.probeMs < 1000 ? `${Math.round(detail.probeMs)} ms` : duration(detail.probeMs)}
        </Fact>
      )}
      <Fact name={w.received}>
        {bytes(received)},{" "}
        {w.lost(count(lost), share.format(packets === 0 ? 0 : lost / (packets + lost)))}
      </Fact>
      <Fact name={w.restarts}>
        {count(detail.restarts.lastHour)} ({w.total(detail.restarts.total)})
      </Fact>
      <Fact name={w.stalls}>
        {count(detail.stalls.lastHour)} ({w.total(detail.stalls.total)})
      </Fact>
      <Fact name={w.health}>{w[`health_${detail.health}`]}</Fact>
      <ServerWord stream={detail} />
    </dl>
  )
}

/** What the media server says about the path. */
const ServerWord = ({ stream: { mediaServer } }: { readonly stream: CameraStream }) => {
  const w = words()
  if (mediaServer === null) return null
  return (
    <Fact name={w.serverWord}>
      {mediaServer.isOnline
        ? `${w.serverOnline(mediaServer.readers)}, ${bytes(mediaServer.inboundBytes)}`
        : w.serverOffline}
    </Fact>
  )
}

/** The problem, since when, and when the stream is tried next. */
const Situation = ({ stream }: { readonly stream: CameraStream }) => {
  const w = words()
  return (
    <p>
      {stream.problem?.message}{" "}
      <span class="quiet">
        <Since at={stream.since} />
      </span>{" "}
      {stream.word === "down" && (
        <span class="quiet">
          {stream.retryAt === null
            ? w.tryingNow
            : w.nextTry(w.in(duration(stream.retryAt - now.value)))}
        </span>
      )}
    </p>
  )
}

interface ActionsProps {
  readonly id: string
  /** Added to the names of the buttons where a page has several of them. */
  readonly of?: string
  readonly canRetry: boolean
}

/** What an operator can do, and what became of it. */
const Actions = ({ canRetry, id, of }: ActionsProps) => {
  const w = words()
  const outcome = useSignal("")
  const dialog = useRef<HTMLDialogElement>(null)
  const send = async (command: "retry" | "restart") => {
    try {
      outcome.value = (await sendCommand(id, command)).message || w.accepted
    } catch (error) {
      outcome.value = w.failed(error instanceof Error ? error.message : String(error))
    }
  }
  const nameOf = (label: string) => (of === undefined ? label : `${label}: ${of}`)
  return (
    <>
      <p class="actions">
        <button
          onClick={() => void send("retry")}
          disabled={!canRetry}
          aria-label={nameOf(w.retry)}
        >
          {w.retry}
        </button>
        <button onClick={() => dialog.current?.showModal()} aria-label={nameOf(w.restart)}>
          {w.restart}
        </button>
        <span role="status">{outcome}</span>
      </p>
      <dialog ref={dialog} aria-label={nameOf(w.restart)}>
        <form method="dialog">
          <p>{w.restartAsk}</p>
          <button value="cancel">{w.cancel}</button>
          <button value="restart" onClick={() => void send("restart")}>
            {w.restart}
          </button>
        </form>
      </dialog>
    </>
  )
}

const FurtherStreams = ({ streams }: { readonly streams: ReadonlyArray<Substream> }) => {
  const w = words()
  return (
    <Section title={w.furtherStreams}>
      <ul class="streams">
        {streams.map((stream) => (
          <li key={stream.id}>
            <h3>
              <WordLabel word={stream.word} />{" "}
              <a href={hrefTo(`cameras/${encodeURIComponent(stream.id)}`)}>{stream.name}</a>{" "}
              <small class="quiet">{stream.id}</small>
            </h3>
            <Situation stream={stream} />
            <dl>
              <Fact name={w.stream}>{streamText(stream) || w.unknown}</Fact>
              <Fact name={w.bitrate}>{bitrate(bitrateOf(stream))}</Fact>
              {stream.path !== null && <Fact name={w.path}>{stream.path}</Fact>}
              <ServerWord stream={stream} />
            </dl>
            {stream.word !== "invalid" && (
              <Actions id={stream.id} of={stream.name} canRetry={stream.word !== "ok"} />
            )}
          </li>
        ))}
      </ul>
    </Section>
  )
}

/** The camera that a further stream belongs to. */
const parentOf = (id: string) =>
  cameras.value.has(id) ? undefined : cameras.value.get(id.slice(0, id.lastIndexOf(":")))?.value

export const CameraView = ({ id }: { readonly id: string }) => {
  const w = words()
  const live = cameras.value.get(id)?.value
  const detail = useSignal<CameraDetail | undefined>(undefined)
  const problem = useSignal("")
  const parent = parentOf(id)
  // a camera changes with its further streams
  const revision = (live ?? parent)?.revision

  useEffect(() => {
    let isOver = false
    const load = async () => {
      try {
        const loaded = await getCamera(id)
        if (isOver) return
        detail.value = loaded
        problem.value = ""
      } catch (error) {
        // without an answer the bar says so; the next attempt is near
        if (isOver || !(error instanceof Refused)) return
        problem.value = error.status === 404 ? w.unknownCamera : error.message
      }
    }
    void load()
    const timer = setInterval(() => void load(), refreshMs)
    return () => {
      isOver = true
      clearInterval(timer)
    }
    // at once when the camera changes, and every few seconds for what is counted
  }, [id, revision])

  const chart = useComputed(() => {
    const recent = detail.value?.bitrates.recent ?? []
    const end = now.peek()
    return {
      values: recent,
      times: recent.map((_, index) => end - (recent.length - 1 - index) * 5000)
    }
  })

  // its node does not respond, say, or it moves to another node
  const alert = problem.value !== "" && <p role="alert">{problem}</p>
  if (alert !== false && live === undefined) return alert
  const shown = detail.value
  const camera = live ?? shown
  if (camera === undefined) return <p>{w.loading}</p>
  // polled, because no event tells how much the media server has received
  const watching = readersOf(camera)
  const node = live?.node ?? parent?.node ?? shown?.node
  const substreams = shown?.substreams ?? camera.substreams ?? []
  return (
    <>
      <h1>
        <WordLabel word={camera.word} /> {camera.name} <small class="quiet">{camera.id}</small>{" "}
        {watching !== undefined && <small class="quiet">{w.readersNow(watching)} </small>}
        {nodes.value.length > 0 && node !== undefined && (
          <small>
            <a href={hrefTo("cameras", { node })}>{w.node(node)}</a>
          </small>
        )}
      </h1>
      {alert}
      {parent !== undefined && (
        <p>
          {w.furtherStreamOf}{" "}
          <a href={hrefTo(`cameras/${encodeURIComponent(parent.id)}`)}>{parent.name}</a>
        </p>
      )}
      <Situation stream={camera} />
      {shown?.advice && (
        <p class="advice">
          <strong>{w.whatToDo}:</strong> {shown.advice}
        </p>
      )}
      {camera.word !== "invalid" && (
        <Actions id={id} canRetry={camera.word !== "ok" || substreams.some(isFailing)} />
      )}
      {substreams.length > 0 && <FurtherStreams streams={substreams} />}
      {camera.word !== "invalid" && (
        <Section title={w.picture}>
          <LivePicture camera={camera} playerUrls={shown?.playerUrls ?? null} />
        </Section>
      )}
      {shown !== undefined && (
        <>
          <Section title={w.bitrate}>
            <Chart times={chart.value.times} values={chart.value.values} label={w.bitrate} />
          </Section>
          <Section title={w.timeline}>
            <Timeline timeline={shown.timeline} />
          </Section>
          <Section title={w.facts}>
            <Facts detail={shown} />
          </Section>
          {shown.playerUrls !== null && (
            <Section title={w.watch}>
              <dl>
                {Object.entries(shown.playerUrls).map(([protocol, url]) => (
                  <Fact
                    key={protocol}
                    name={protocol === "webrtc" ? "WebRTC" : protocol.toUpperCase()}
                  >
                    <Copyable text={url} />
                  </Fact>
                ))}
              </dl>
            </Section>
          )}
          <Section title={w.log}>
            <ol class="log">
              {shown.log.toReversed().map(({ at, level, message }) => (
                <li key={`${at} ${message}`} class={level}>
                  <time dateTime={new Date(at).toISOString()}>{clockTime(at)}</time> {message}
                </li>
              ))}
            </ol>
          </Section>
        </>
      )}
    </>
  )
}
