/** `#/`: everything in one sentence, what is wrong by cause, and what changed. */
import { Chart } from "./chart.tsx"
import type { Overview } from "@restream/core/http"
import { words as allWords } from "@restream/core/operator-view"
import { Section, type Word, WordIcon, WordLabel } from "./parts.tsx"
import { hrefTo } from "./route.ts"
import { changes, failingSubstreams, needAttention, now, overview, totals } from "./store.ts"
import { bitrate, clockTime, count, duration, words } from "./text.ts"

const Sentence = () => {
  const tally = overview.value?.tally
  const w = words()
  if (tally === undefined) return <p class="sentence">{w.loading}</p>
  const all = allWords.reduce((sum, word) => sum + tally[word], 0)
  const wrong = needAttention.value
  const failing = failingSubstreams.value
  const isGood = wrong === 0 && failing === 0 && tally.ok === all
  const text =
    all === 0
      ? w.noCameras
      : tally.ok === all
        ? w.allLive(count(all))
        : w.someLive(count(tally.ok), count(all))
  return (
    <p class={`sentence ${isGood ? "good" : wrong > 0 ? "bad" : ""}`} role="status">
      <WordIcon word={isGood ? "ok" : wrong > 0 ? "down" : "waiting"} />
      <span>
        {text} {wrong > 0 && `${w.needAttention(wrong)} `}
        {failing > 0 && w.failingSubstreams(failing)}
      </span>
    </p>
  )
}

/** The word of the cameras of a cause. */
const wordOf = (kind: string): Word => {
  switch (kind) {
    case "invalid":
      return "invalid"
    case "media-server":
    case "stopped":
      return "waiting"
    // such cameras are live
    case "offline":
    case "flapping":
      return "ok"
    default:
      return "down"
  }
}

/** Where the cameras of a cause are listed; a single stream has a page of its own. */
const linkOf = ({ cameras: [id], count, host, kind }: Overview["causes"][number]): string => {
  if (count === 1 && id !== undefined) return hrefTo(`cameras/${encodeURIComponent(id)}`)
  if (host !== null) return hrefTo("cameras", { q: host })
  return hrefTo("cameras", { word: wordOf(kind) })
}

const Causes = () => {
  const w = words()
  const causes = overview.value?.causes ?? []
  if (causes.length === 0) return <p class="quiet">{w.nothing}</p>
  return (
    <ul class="causes">
      {causes.map((cause) => (
        <li key={`${cause.kind} ${cause.host} ${cause.message}`}>
          <strong>{cause.message}</strong>{" "}
          <span class="quiet">{w.for(duration(now.value - cause.since))}</span>
          <p>{cause.advice}</p>
          {cause.count > 0 && <a href={linkOf(cause)}>{w.showCameras(cause.count)}</a>}
        </li>
      ))}
    </ul>
  )
}

const Tally = () => {
  const tally = overview.value?.tally
  if (tally === undefined) return null
  return (
    <ul class="tally">
      {allWords.map((word) => (
        <li key={word}>
          <a href={hrefTo("cameras", { word })} class={tally[word] === 0 ? "zero" : ""}>
            <b>{count(tally[word])}</b>
            <WordLabel word={word} />
          </a>
        </li>
      ))}
    </ul>
  )
}

const Changes = () => {
  const w = words()
  if (changes.value.length === 0) return <p class="quiet">{w.noChanges}</p>
  return (
    <ol class="changes">
      {changes.value.map(({ at, name, stream }) => (
        <li key={`${at} ${stream.id}`}>
          <time dateTime={new Date(at).toISOString()}>{clockTime(at)}</time>
          <WordLabel word={stream.word} />
          <a href={hrefTo(`cameras/${encodeURIComponent(stream.id)}`)}>{name}</a>
          <span class="quiet">{stream.problem?.message}</span>
        </li>
      ))}
    </ol>
  )
}

export const OverviewView = () => {
  const w = words()
  const all = overview.value
  return (
    <>
      <h1 class="hidden">{w.overview}</h1>
      <Sentence />
      <Tally />
      <Section title={w.whatIsWrong}>
        <Causes />
      </Section>
      <Section title={`${w.bitrateOfAll}: ${bitrate(all?.bitrate ?? 0)}`}>
        <Chart
          times={totals.value.map(([at]) => at)}
          values={totals.value.map(([, bits]) => bits)}
          label={w.bitrateOfAll}
        />
      </Section>
      <Section title={w.lastChanges}>
        <Changes />
      </Section>
      {all !== undefined && (
        <footer class="quiet">
          restream {all.version} · {w.uptime} {duration(now.value - all.startedAt)}
          {all.database.lastReadAt !== null &&
            ` · ${w.lastRead} ${w.ago(duration(now.value - all.database.lastReadAt))}`}
        </footer>
      )}
    </>
  )
}
