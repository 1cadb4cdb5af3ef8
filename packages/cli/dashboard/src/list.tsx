/** `#/cameras`: all cameras in a table of which only the visible rows exist. The filter and the order are in the address. */
import { computed, useComputed, useSignal } from "@preact/signals"
import type { Signal } from "@preact/signals"
import {
  elementScroll,
  observeElementOffset,
  observeElementRect,
  Virtualizer
} from "@tanstack/virtual-core"
import { useEffect, useRef } from "preact/hooks"
import { getHistories, sendCommand } from "./api.ts"
import { isFailing, matches, words as allWords } from "@restream/core/operator-view"
import { Since, Sparkline, streamText, type Word, WordIcon, WordLabel } from "./parts.tsx"
import { hrefTo, replaceQuery, route } from "./route.ts"
import { bitrateOf, type Camera, cameras, nodes, readers, readersOf } from "./store.ts"
import { bitrate, count, listOf, words } from "./text.ts"

const rowHeight = 44
/** A phone shows a camera in two lines. */
const narrowRowHeight = 64
const narrow = matchMedia("(max-width: 640px)")
const historiesEveryMs = 60_000

const columns = [
  "name",
  "node",
  "word",
  "since",
  "bitrate",
  "readers",
  "restarts",
  "health"
] as const
type Column = (typeof columns)[number]

const hasNodes = computed(() => nodes.value.length > 0)
/** The names of the nodes to choose from: also of one that has gone, while it is chosen. */
const nodeNames = computed(() => {
  const names = nodes.value.map(({ name }) => name)
  const { node } = query.value
  return node === "" || names.includes(node) ? names : [...names, node]
})
/** The nodes that cannot be asked for their cameras, of those that are chosen. */
const hiddenNodes = computed(() =>
  nodes.value.flatMap(({ name, state }) =>
    state === "unknown" && ["", name].includes(query.value.node) ? [name] : []
  )
)

/** Without an API of the media server there is nothing to show in the column of readers. */
const isServerKnown = computed(() => readers.value !== null)

const healths = ["poor", "fair", "good"]
const byText = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

const failingOf = ({ substreams = [] }: Camera) => substreams.filter(isFailing)
/** Without a list, because the sort asks it for every pair of cameras. */
const countFailing = ({ substreams }: Camera): number =>
  substreams === undefined ? 0 : substreams.filter(isFailing).length

const comparisons: Record<Column, (a: Camera, b: Camera) => number> = {
  name: (a, b) => byText.compare(a.name, b.name),
  node: (a, b) => byText.compare(a.node ?? "", b.node ?? ""),
  word: (a, b) =>
    allWords.indexOf(a.word) - allWords.indexOf(b.word) || countFailing(b) - countFailing(a),
  since: (a, b) => b.since - a.since,
  bitrate: (a, b) => bitrateOf(a) - bitrateOf(b),
  readers: (a, b) => (readersOf(a) ?? -1) - (readersOf(b) ?? -1),
  restarts: (a, b) => a.restarts.lastHour - b.restarts.lastHour,
  health: (a, b) => healths.indexOf(a.health) - healths.indexOf(b.health)
}

const query = computed(() => {
  const { query } = route.value
  const sort = query.get("sort") as Column | null
  return {
    q: query.get("q") ?? "",
    word: (query.get("word") ?? "") as Word | "",
    node: query.get("node") ?? "",
    sort: sort !== null && columns.includes(sort) ? sort : "word",
    order: query.get("order") === "desc" ? "desc" : "asc"
  } as const
})

const setQuery = (change: Partial<typeof query.value>) => {
  const { node, order, q, sort, word } = { ...query.value, ...change }
  replaceQuery({
    q,
    word,
    node,
    sort: sort === "word" ? "" : sort,
    order: order === "asc" ? "" : order
  })
}

/** All cameras as they were sorted last: what is nearly in order is sorted in little more than one pass. */
let lastSorted: ReadonlyArray<Signal<Camera>> = []

/** All cameras in order. Apart from the filter, so that typing sorts nothing. */
const sorted = computed(() => {
  const { order, sort } = query.value
  const sign = order === "asc" ? 1 : -1
  const compare = comparisons[sort]
  const known = new Set(cameras.value.values())
  const kept = lastSorted.filter((camera) => known.delete(camera))
  lastSorted = [...kept, ...known].sort(
    (a, b) => sign * compare(a.value, b.value) || byText.compare(a.value.id, b.value.id)
  )
  return lastSorted
})

/** The cameras that match, in order. */
const listed = computed(() => {
  const { node, q, word } = query.value
  if (q.trim() === "" && word === "" && node === "") return sorted.value
  const isListed = matches({ q, word: word || undefined, node: node || undefined })
  return sorted.value.filter(({ value }) => isListed(value))
})

const Header = ({ column }: { readonly column: Column }) => {
  const w = words()
  const { order, sort } = query.value
  const isSorted = sort === column
  const label = {
    name: w.name,
    node: w.nodeColumn,
    word: w.state,
    since: w.sinceColumn,
    bitrate: w.bitrate,
    readers: w.readers,
    restarts: w.restarts,
    health: w.health
  }[column]
  return (
    <div
      role="columnheader"
      class={column}
      aria-sort={isSorted ? (order === "asc" ? "ascending" : "descending") : "none"}
    >
      <button
        class="plain"
        onClick={() =>
          setQuery({ sort: column, order: isSorted && order === "asc" ? "desc" : "asc" })
        }
      >
        {label}
        <span aria-hidden="true">{isSorted ? (order === "asc" ? " ▲" : " ▼") : ""}</span>
      </button>
    </div>
  )
}

/** Why the camera is not live, or what it sends; of a live camera with a further stream that fails, why that fails. */
const reasonOf = (camera: Camera): string => {
  const [failing] = failingOf(camera)
  if (camera.problem !== null) return camera.problem.message
  return failing?.problem ? `${failing.name}: ${failing.problem.message}` : streamText(camera)
}

interface RowProps {
  readonly camera: Signal<Camera>
  readonly index: number
  readonly top: number
  readonly height: number
  readonly history: ReadonlyArray<number> | undefined
  readonly selected: Signal<ReadonlySet<string>>
}

const Row = ({ camera: { value: camera }, height, history, index, selected, top }: RowProps) => {
  const w = words()
  const watching = readersOf(camera)
  const toggle = () => {
    const next = new Set(selected.value)
    if (!next.delete(camera.id)) next.add(camera.id)
    selected.value = next
  }
  return (
    <div
      role="row"
      class="row"
      aria-rowindex={index + 2}
      style={{ transform: `translateY(${top}px)`, height: `${height}px` }}
    >
      <div role="cell" class="select">
        <input
          type="checkbox"
          aria-label={w.select(camera.name)}
          checked={selected.value.has(camera.id)}
          onChange={toggle}
        />
      </div>
      <div role="cell" class="name">
        <a href={hrefTo(`cameras/${encodeURIComponent(camera.id)}`)}>{camera.name}</a>
        <span class="quiet reason">
          {hasNodes.value && <span class="narrow">{camera.node} · </span>}
          {reasonOf(camera)}
        </span>
      </div>
      {hasNodes.value && (
        <div role="cell" class="node">
          {camera.node ?? "–"}
        </div>
      )}
      <div role="cell" class="word">
        <WordLabel word={camera.word} />
        {failingOf(camera).map(({ id, name, problem, word }) => (
          <span key={id} class={`mark ${word}`} title={problem?.message}>
            <WordIcon word={word} /> {name}
            <span class="hidden"> {w[`word_${word}`]}</span>
          </span>
        ))}
      </div>
      <div role="cell" class="since">
        <Since at={camera.since} />
      </div>
      <div role="cell" class="bitrate">
        <span>{bitrate(bitrateOf(camera))}</span>
        {history !== undefined && <Sparkline values={history} />}
      </div>
      {isServerKnown.value && (
        <div role="cell" class="readers">
          {watching === undefined ? "–" : count(watching)}
        </div>
      )}
      <div role="cell" class="restarts">
        {count(camera.restarts.lastHour)}
      </div>
      <div role="cell" class={`health ${camera.health}`}>
        {w[`health_${camera.health}`]}
      </div>
    </div>
  )
}

const Filters = () => {
  const w = words()
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return
      event.preventDefault()
      input.current?.focus()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [])
  return (
    <div class="filters">
      <input
        ref={input}
        type="search"
        aria-label={hasNodes.value ? w.filterWithNode : w.filter}
        placeholder={hasNodes.value ? w.filterWithNode : w.filter}
        value={query.value.q}
        onInput={(event) => setQuery({ q: event.currentTarget.value })}
      />
      <select
        aria-label={w.state}
        value={query.value.word}
        onChange={(event) => setQuery({ word: event.currentTarget.value as Word | "" })}
      >
        <option value="">{w.all}</option>
        {allWords.map((word) => (
          <option key={word} value={word}>
            {w[`word_${word}`]}
          </option>
        ))}
      </select>
      {nodeNames.value.length > 0 && (
        <select
          aria-label={w.nodeColumn}
          value={query.value.node}
          onChange={(event) => setQuery({ node: event.currentTarget.value })}
        >
          <option value="">{w.allNodes}</option>
          {nodeNames.value.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      )}
    </div>
  )
}

/** The number of rows for a screen reader, said at most every 5 seconds. */
const Shown = () => {
  const text = useSignal("")
  useEffect(() => {
    const say = () => {
      text.value = words().shown(count(listed.peek().length), count(cameras.peek().size))
    }
    say()
    const timer = setInterval(say, 5000)
    return () => clearInterval(timer)
  }, [])
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  )
}

export const ListView = () => {
  const w = words()
  const place = useRef<HTMLDivElement>(null)
  const visible = useSignal<ReadonlyArray<{ readonly index: number; readonly start: number }>>([])
  const selected = useSignal<ReadonlySet<string>>(new Set())
  const histories = useSignal<ReadonlyMap<string, ReadonlyArray<number>>>(new Map())
  const outcome = useSignal("")
  /** The order as it was when the pointer or the focus came in: rows must not jump under either. */
  const held = useSignal<ReadonlyArray<Signal<Camera>> | undefined>(undefined)
  const rows = useComputed(() => {
    if (held.value === undefined) return listed.value
    const matching = new Set(listed.value)
    const kept = held.value.filter((camera) => matching.has(camera))
    const known = new Set(kept)
    return [...kept, ...listed.value.filter((camera) => !known.has(camera))]
  })
  const isOutOfOrder = useComputed(() =>
    rows.value.some((camera, index) => camera !== listed.value[index])
  )
  const height = narrow.matches ? narrowRowHeight : rowHeight

  const virtualizer = useRef<Virtualizer<HTMLDivElement, HTMLDivElement> | undefined>(undefined)
  const show = (instance: Virtualizer<HTMLDivElement, HTMLDivElement>) => {
    visible.value = instance.getVirtualItems().map(({ index, start }) => ({ index, start }))
  }
  const options = () => ({
    count: rows.value.length,
    getScrollElement: () => place.current,
    estimateSize: () => height,
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: show
  })
  useEffect(() => {
    const made = new Virtualizer<HTMLDivElement, HTMLDivElement>(options())
    virtualizer.current = made
    const unmount = made._didMount()
    made._willUpdate()
    show(made)
    return unmount
  }, [])
  const total = rows.value.length
  useEffect(() => {
    const made = virtualizer.current
    if (made === undefined) return
    made.setOptions(options())
    made._willUpdate()
    show(made)
  }, [total])

  useEffect(() => {
    const load = async () => {
      try {
        const loaded = new Map<string, ReadonlyArray<number>>()
        for await (const page of getHistories()) {
          for (const { bitrates = [], id } of page.cameras) loaded.set(id, bitrates)
        }
        histories.value = loaded
      } catch {
        // the list does without sparklines
      }
    }
    void load()
    const timer = setInterval(() => void load(), historiesEveryMs)
    return () => clearInterval(timer)
  }, [])

  const hold = () => {
    held.value ??= rows.peek()
  }
  const release = () => {
    const isInside = place.current?.matches(":hover") === true
    if (!isInside && place.current?.contains(document.activeElement) !== true)
      held.value = undefined
  }

  const retrySelected = async () => {
    const ids = [...selected.value]
    const results = await Promise.allSettled(ids.map((id) => sendCommand(id, "retry")))
    const refused = results.find((result) => result.status === "rejected")
    outcome.value = refused === undefined ? w.accepted : w.failed(String(refused.reason.message))
    selected.value = new Set()
  }

  return (
    <>
      <h1 class="hidden">{w.cameras}</h1>
      <Filters />
      <Shown />
      <p class="list-line">
        <span>{w.shown(count(total), count(cameras.value.size))}</span>
        {hiddenNodes.value.length > 0 && (
          <span class="waiting">
            {w.hiddenNodes(hiddenNodes.value.length, listOf(hiddenNodes.value))}
          </span>
        )}
        {isOutOfOrder.value && (
          <button
            onClick={() => {
              held.value = undefined
            }}
          >
            {w.reorder}
          </button>
        )}
        {selected.value.size > 0 && (
          <button onClick={() => void retrySelected()}>
            {w.retrySelected(selected.value.size)}
          </button>
        )}
        <span role="status">{outcome}</span>
      </p>
      <div
        role="table"
        aria-label={w.cameras}
        aria-rowcount={total + 1}
        class={`table ${isServerKnown.value ? "with-readers" : ""} ${hasNodes.value ? "with-nodes" : ""}`}
        ref={place}
        // a region that scrolls can be reached by the keyboard
        tabIndex={0}
        onMouseEnter={hold}
        onMouseLeave={release}
        onFocusIn={hold}
        onFocusOut={() => setTimeout(release)}
      >
        <div role="row" class="row head" aria-rowindex={1}>
          <div role="columnheader" class="select">
            <span class="hidden">{w.selection}</span>
          </div>
          {columns
            .filter(
              (column) =>
                (column !== "readers" || isServerKnown.value) &&
                (column !== "node" || hasNodes.value)
            )
            .map((column) => (
              <Header key={column} column={column} />
            ))}
        </div>
        <div role="rowgroup">
          <div class="all" style={{ height: `${total * height}px` }}>
            {visible.value.map(({ index, start }) => {
              const camera = rows.value[index]
              return (
                camera !== undefined && (
                  <Row
                    key={camera.peek().id}
                    camera={camera}
                    index={index}
                    top={start}
                    height={height}
                    history={histories.value.get(camera.peek().id)}
                    selected={selected}
                  />
                )
              )
            })}
          </div>
        </div>
      </div>
    </>
  )
}
