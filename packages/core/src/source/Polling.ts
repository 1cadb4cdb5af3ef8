/** Makes a camera source from an effect that fetches all rows once. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Deadline from "../time/Deadline.ts"
import { format, formatElapsed } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Poller from "../time/Poller.ts"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import {
  type CameraRow,
  CameraSource,
  CameraSourceError,
  type Snapshot,
  type SourceHealth,
  Unavailable
} from "./CameraSource.ts"

/**
 * - `changed`: rows may have changed. While the source is unreachable, such hints wait for the next scheduled
 *   fetch.
 * - `back`: the source responds again, or needs rows that it has not read yet, so a fetch follows soon, even if the
 *   next scheduled fetch is far away.
 */
export type Hint = "changed" | "back"

/** The cost of a change for the subscribers, in milliseconds per row. */
const costPerRowMs = 0.02

/** When a source is polled. */
export interface PollTiming {
  /** The longest time between the end of one fetch and the next. Default 10 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** Timeout of one fetch. Default 10 s. */
  readonly fetchTimeout?: Duration.Input | undefined
}

/** What is polled, and when. */
export interface PollingOptions {
  /** The name of the source in the log, such as `database`. */
  readonly label: string
  /** Fetches all rows once. Interrupted at `fetchTimeout`. */
  readonly fetchRows: Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError>
  /** Used for fetches that only hints caused. Default: `fetchRows`. */
  readonly fetchChanged?: Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError> | undefined
  /** The shards that the last fetch covers, see `Snapshot`. Read after each fetch. Default: all. */
  readonly shards?: (() => ReadonlySet<number> | undefined) | undefined
  /** Concurrent hints share one fetch. Default: none. */
  readonly hints?: Stream.Stream<Hint> | undefined
  /** Read before each fetch and each interval, so it may follow settings. */
  readonly timing?: Effect.Effect<PollTiming> | undefined
}

/**
 * Failed fetches are retried after 1, 2, 4, … s, at most the poll interval. Requests do not shorten this delay, so
 * that restarting cameras do not add load to an unreachable source.
 */
const retryDelay = (failures: number): Duration.Duration =>
  Duration.seconds(Math.min(2 ** (failures - 1), 30))

/**
 * Starts polling in the scope. A hint starts a fetch at once; with a constant flow of hints, fetches take about
 * 5 % of the time, and with constant calls of `refresh` a fifth. Logs once when the source fails, once when it fails
 * in another way, and once when it is reachable again.
 */
export const make = Effect.fnUntraced(function* (
  options: PollingOptions
): Effect.fn.Return<CameraSource["Service"], never, Scope.Scope> {
  const timing = Effect.map(options.timing ?? Effect.succeed<PollTiming>({}), (timing) => ({
    pollInterval: Duration.fromInputUnsafe(timing.pollInterval ?? "10 seconds"),
    fetchTimeout: Duration.fromInputUnsafe(timing.fetchTimeout ?? "10 seconds")
  }))
  const published = yield* PubSub.sliding<Snapshot>({ capacity: 1, replay: 1 })
  let health: SourceHealth = { _tag: "Connecting" }
  let failures = 0
  const incidents = new Incidents<string>()

  const inTime = (fetch: PollingOptions["fetchRows"]) =>
    Effect.flatMap(timing, ({ fetchTimeout }) =>
      Deadline.within(fetchTimeout, () =>
        Effect.fail(unavailable(`no response within ${format(fetchTimeout)}`))
      )(fetch)
    )

  const pollBy = (fetch: PollingOptions["fetchRows"]) =>
    Effect.gen(function* () {
      const takenAt = yield* Clock.currentTimeMillis
      const rows = yield* inTime(fetch)
      const shards = options.shards?.()
      return { rows, takenAt, ...(shards !== undefined && { shards }) }
    }).pipe(
      // a defect of an adapter must not end the polling
      Effect.catchDefect((defect) =>
        Effect.andThen(
          annotated(Effect.logError(`${options.label}: internal error`, defect)),
          Effect.fail(internalError)
        )
      )
    )

  const onSnapshot = Effect.fnUntraced(function* (snapshot: Snapshot) {
    const before = health
    health = { _tag: "Up", lastSnapshotAt: snapshot.takenAt }
    failures = 0
    yield* PubSub.publish(published, snapshot)
    const notice = incidents.succeeded(options.label, yield* Monotonic.now)
    if (notice === "resolved" && before._tag === "Down") {
      const outage = formatElapsed(snapshot.takenAt - before.since)
      yield* Effect.logInfo(
        `${options.label}: reachable again after ${outage}, ${snapshot.rows.length} rows`
      )
    }
    if (notice === "stable") yield* Effect.logInfo(`${options.label}: stable`)
  }, annotated)

  const onFailure = Effect.fnUntraced(function* (error: CameraSourceError) {
    const now = yield* Clock.currentTimeMillis
    const before = health
    const last = before._tag === "Connecting" ? undefined : before.lastSnapshotAt
    const since = before._tag === "Down" ? before.since : now
    health = { _tag: "Down", since, lastSnapshotAt: last, error }
    failures++
    const notice = incidents.failed(options.label, dedupeKey(error), yield* Monotonic.now)
    if (notice === undefined) return
    const consequence =
      last === undefined
        ? "the camera list is not known yet; retrying"
        : `running relays are unaffected; last successful read ${formatElapsed(now - last)} ago`
    yield* Effect.annotateLogs(
      Effect.logError(`${options.label}: ${error.message}; ${consequence}${suffixOf(notice)}`),
      "reason",
      error.reason._tag
    )
  }, annotated)

  const poller = yield* Poller.make({
    poll: pollBy(options.fetchRows),
    pollHinted: options.fetchChanged && pollBy(options.fetchChanged),
    onResult: Exit.match({
      onSuccess: onSnapshot,
      onFailure: (cause) => {
        const error = Exit.findErrorOption(Exit.failCause(cause))
        return onFailure(error._tag === "Some" ? error.value : internalError)
      }
    }),
    ignoresInvalidations: () => failures > 0,
    restAfterPoll: 20,
    // each camera that restarts calls `refresh`
    restBeforeRequest: 4,
    restAtLeast: Exit.match({
      onSuccess: ({ rows }) => Duration.millis(rows.length * costPerRowMs),
      onFailure: () => Duration.zero
    }),
    interval: () =>
      Effect.map(timing, ({ pollInterval }) =>
        failures === 0 ? pollInterval : Duration.min(pollInterval, retryDelay(failures))
      )
  })

  if (options.hints !== undefined) {
    yield* Effect.forkScoped(
      Stream.runForEach(options.hints, (hint) =>
        hint === "back" ? poller.wake : poller.invalidate
      )
    )
  }

  return CameraSource.of({
    snapshots: Stream.fromPubSub(published),
    refresh: poller.now,
    health: Effect.sync(() => health)
  })
})

const annotated = Effect.annotateLogs("module", "source")

/**
 * The kind of a failure, which is logged once. All details of `Unavailable` are one kind: a server that restarts
 * refuses connections, then reports that it is starting up, then does not respond. Any other problem needs an
 * operator, and is a kind of its own.
 */
const dedupeKey = ({ reason }: CameraSourceError): string =>
  reason._tag === "Unavailable" ? reason._tag : `${reason._tag} ${reason.detail}`

const unavailable = (detail: string): CameraSourceError =>
  new CameraSourceError({ reason: new Unavailable({ detail }) })

const internalError = unavailable("internal error; see the log")
