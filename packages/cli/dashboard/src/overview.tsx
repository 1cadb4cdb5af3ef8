/** `#/`: everything in one sentence, what is wrong by cause, and what changed. */
import { Chart } from "./chart.tsx"
import type { Overview } from "@restream/core/http"
import { words as allWords } from "@restream/core/operator-view"
import { Section, type Word, WordIcon, WordLabel } from "./parts.tsx"
import { hrefTo } from "./route.ts"
import {
  changes,
  failingSubstreams,
  needAttention,
  type Node,
  nodes,
  now,
  overview,
  silentNodes,
  totals
} from "./store.ts"
import { bitrate, clockTime, count, duration, words } from "./text.ts"

const Sentence = () => {
  const tally = overview.value?.tally
  const w = words()
  if (tally === undefined) return <p class="sentence">{w.loading}</p>
  const all = allWords.reduce((sum, word) => sum + tally[word], 0)
  const wrong = needAttention.value
  const failing = failingSubstreams.value
  const silent = silentNodes.value.length
  const isBad = wrong > 0 || silent > 0
  const isGood = !isBad && failing === 0 && tally.ok === all
  const text =
    all === 0
      ? w.noCameras
      : tally.ok === all
        ? (nodes.value.some(({ tally }) => tally === null) ? w.allKnownLive : w.allLive)(count(all))
        : w.someLive(count(tally.ok), count(all))
  return (
    <p class={`sentence ${isGood ? "good" : isBad ? "bad" : ""}`} role="status">
      <WordIcon word={isGood ? "ok" : isBad ? "down" : "waiting"} />
      <span>
        {text} {wrong > 0 && `${w.needAttention(wrong)} `}
        {failing > 0 && `${w.failingSubstreams(failing)} `}
        {silent > 0 && w.nodesDown(silent)}
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

const nodeIcons = {
  ok: "ok",
  draining: "waiting",
  unreachable: "down",
  unknown: "waiting"
} as const satisfies Record<Node["state"], Word>

const NodeRow = ({ node }: { readonly node: Node }) => {
  const w = words()
  const { bitrate: bits, isSelf, name, problem, state, tally, version } = node
  const icon = nodeIcons[state]
  return (
    <tr class={state === "unreachable" ? state : ""}>
      <th scope="row">
        <a href={hrefTo("cameras", { node: name })}>{name}</a>
        {isSelf && <small class="quiet"> {w.thisNode}</small>}
        {version !== null && version !== overview.value?.version && (
          <small class="quiet"> restream {version}</small>
        )}
      </th>
      <td>
        <span class={`word ${icon}`}>
          <WordIcon word={icon} /> {w[`node_${state}`]}
        </span>
        {problem !== null && <p>{problem}</p>}
      </td>
      <td>
        {tally === null
          ? "–"
          : allWords
              .filter((word) => tally[word] > 0)
              .map((word) => (
                <a
                  key={word}
                  class={word}
                  href={hrefTo("cameras", { node: name, word })}
                  title={w[`word_${word}`]}
                >
                  <WordIcon word={word} /> {count(tally[word])}
                  <span class="hidden"> {w.camerasOf(name, w[`word_${word}`])}</span>
                </a>
              ))}
      </td>
      <td>{bitrate(bits ?? 0)}</td>
    </tr>
  )
}

/** The nodes of the cluster, and which cameras each one has. */
const Nodes = () => {
  const w = words()
  return (
    <table class="nodes">
      <thead>
        <tr>
          {[w.nodeColumn, w.state, w.cameras, w.bitrate].map((label) => (
            <th key={label} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {nodes.value.map((node) => (
          <NodeRow key={node.name} node={node} />
        ))}
      </tbody>
    </table>
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
      {nodes.value.length > 0 && (
        <Section title={w.nodes}>
          <Nodes />
        </Section>
      )}
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
