/**
 * The streams of `/api/events`.
 *
 * Level-triggered: a client holds one revision and gets the changes after it, four times a second. A slow client
 * misses intermediate states, never the newest. All clients are served at the same moments, so each event is encoded
 * once.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Board, type BoardService } from "./Board.ts"
import { streamsOf } from "../status/OperatorView.ts"
import { TooManyStreams } from "./Api.ts"
import { ClusterBoard } from "./ClusterBoard.ts"

const tickMs = 250
const beatMs = 5000
const maxStreams = 64

/** The position of a client in the stream. */
interface Position {
  /** `undefined`: nothing yet. */
  readonly revision: number | undefined
  /** The number of the 5-second interval in which the last beat was sent. */
  readonly beat: number
}

export class EventStreams extends Context.Service<
  EventStreams,
  {
    /**
     * Opens a stream of encoded events in the scope. At most 64 streams of each scope are open; other nodes follow
     * this node by streams of the scope `node`.
     *
     * @param lastEventId the id of the last event that the client has received.
     */
    readonly open: (
      lastEventId: string | undefined,
      scope?: "cluster" | "node"
    ) => Effect.Effect<Stream.Stream<Uint8Array>, TooManyStreams, Scope.Scope>
    /** Ends all streams with `bye`, including those that are opened later. */
    readonly close: Effect.Effect<void>
    /** How many streams are open. */
    readonly count: Effect.Effect<number>
  }
>()("@restream/core/http/EventStreams") {
  static readonly layer: Layer.Layer<EventStreams, never, Board | ClusterBoard> = Layer.effect(
    EventStreams,
    Effect.gen(function* () {
      const closing = yield* Deferred.make<void>()
      const node = make(yield* Board, closing)
      const cluster = make(yield* ClusterBoard, closing)
      return EventStreams.of({
        open: (lastEventId, scope = "cluster") =>
          (scope === "node" ? node : cluster).open(lastEventId),
        close: Effect.asVoid(Deferred.succeed(closing, undefined)),
        count: Effect.sync(() => node.count() + cluster.count())
      })
    })
  )
}

const encoder = new TextEncoder()

const encode = (event: string, data: unknown, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

/** The streams of one board. */
const make = (board: BoardService, closing: Deferred.Deferred<void>) => {
  let open = 0

  /** The encoded changes up to the current revision, by the client's revision. */
  let encodedAt = -1
  const encoded = new Map<number, { readonly text: string; readonly revision: number }>()
  let beat = { number: -1, text: "" }

  const changesAfter = Effect.fnUntraced(function* (revision: number) {
    const current = yield* board.revision
    if (current !== encodedAt) encoded.clear()
    encodedAt = current
    const known = encoded.get(revision)
    if (known !== undefined) return known
    const { changes, isComplete } = yield* board.changesSince(revision)
    const frame = {
      revision: changes.revision,
      text: encode(
        isComplete ? "snapshot" : "cameras",
        changes,
        `${board.boot}-${changes.revision}`
      )
    }
    encoded.set(revision, frame)
    return frame
  })

  const beatOf = Effect.fnUntraced(function* (number: number) {
    if (beat.number !== number) {
      const overview = yield* board.overview
      const rates: Record<string, number> = {}
      const readers: Record<string, number> = {}
      let isServerKnown = false
      const streams = (yield* board.cameras).flatMap(streamsOf)
      for (const { bitrate, id, mediaServer } of streams) {
        if (bitrate > 0) rates[id] = bitrate
        if (mediaServer === null) continue
        isServerKnown = true
        if (mediaServer.isOnline) readers[id] = mediaServer.readers
      }
      const events = [
        encode("beat", overview),
        encode("rates", rates),
        encode("readers", isServerKnown ? readers : null)
      ]
      beat = { number, text: events.join("") }
    }
    return beat.text
  })

  /** The next text for a client, and its position after that. */
  const next = (position: Position): Effect.Effect<readonly [string, Position]> =>
    Effect.gen(function* () {
      let now = yield* Clock.currentTimeMillis
      if (position.revision === undefined) {
        const frame = yield* changesAfter(0)
        const beat = Math.floor(now / beatMs)
        // no `retry:` line, because Effect's client ends the stream at such a line
        return [frame.text + (yield* beatOf(beat)), { revision: frame.revision, beat }] as const
      }
      for (;;) {
        yield* Effect.sleep(tickMs - (now % tickMs))
        now = yield* Clock.currentTimeMillis
        const number = Math.floor(now / beatMs)
        const beat = number === position.beat ? "" : yield* beatOf(number)
        const hasChanged = (yield* board.revision) !== position.revision
        const frame = hasChanged ? yield* changesAfter(position.revision) : undefined
        const text = (frame?.text ?? "") + beat
        if (text !== "") {
          return [text, { revision: frame?.revision ?? position.revision, beat: number }] as const
        }
      }
    })

  const bye = Effect.map(Clock.currentTimeMillis, (now) => encode("bye", { now }))

  /** The revision in an event id of this run; `undefined` for other ids. */
  const revisionOf = (lastEventId: string | undefined): number | undefined => {
    const [boot, revision] = (lastEventId ?? "").split("-")
    return boot === board.boot && /^\d{1,15}$/.test(revision ?? "") ? Number(revision) : undefined
  }

  return {
    open: Effect.fnUntraced(function* (lastEventId: string | undefined) {
      if (open >= maxStreams) {
        return yield* new TooManyStreams({
          message: `too many event streams are open (${maxStreams})`
        })
      }
      yield* Effect.acquireRelease(
        Effect.sync(() => void open++),
        () => Effect.sync(() => void open--)
      )
      yield* board.ready
      const start: Position = { revision: revisionOf(lastEventId), beat: -1 }
      return Stream.unfold(start, next).pipe(
        Stream.interruptWhen(Deferred.await(closing)),
        Stream.concat(Stream.fromEffect(bye)),
        Stream.map((text) => encoder.encode(text))
      )
    }),
    count: () => open
  }
}
