/** Makes a camera source out of a way to take one snapshot. */
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
 * - `changed`: something may have changed. While the source is away that waits for the next look by
 *   schedule, however many such hints come.
 * - `back`: the source answers, or rows are needed that it has not read yet, so there is a look soon, also where
 *   the schedule is far from its next.
 */
export type Hint = "changed" | "back"

/** What the rows cost their readers at each change, in milliseconds per row. */
const costPerRowMs = 0.02

/** When a source is polled. */
export interface PollTiming {
  /** The longest time between the end of one fetch and the next. Default 10 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** Timeout of one fetch. Default 10 s. */
  readonly fetchTimeout?: Duration.Input | undefined
}

/** What is polled and when. */
export interface PollingOptions {
  /** For the log: what is polled, such as `database`. */
  readonly label: string
  /** Fetches all rows once. Interrupted at `fetchTimeout`. */
  readonly fetchRows: Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError>
  /** The same, where only hints asked for it. Default: `fetchRows`. */
  readonly fetchChanged?: Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError> | undefined
  /** The shards of which the last fetch knows the rows, see `Snapshot`. Read after each fetch. Default: all. */
  readonly shards?: (() => ReadonlySet<number> | undefined) | undefined
  /** Many at once cost one fetch. Default: none. */
  readonly hints?: Stream.Stream<Hint> | undefined
  /** Read before each fetch and each interval, so it may follow settings. */
  readonly timing?: Effect.Effect<PollTiming> | undefined
}

/**
 * After a failed fetch the next comes sooner than the poll interval, at first: 1, 2, 4, … s. Nobody who
 * asks meanwhile makes it come sooner than that: a source that is away is not asked more often for every
 * camera that restarts.
 */
const retryDelay = (failures: number): Duration.Duration =>
  Duration.seconds(Math.min(2 ** (failures - 1), 30))

/**
 * Starts polling in the scope. A hint is followed by a fetch at once; where hints do not stop, fetches take about
 * 5 % of the time, and a fifth of it where calls of `refresh` do not stop. Logs once when the source fails, once
 * when it fails in another way, and once when it is reachable again.
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
    // each camera that restarts asks
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
 * The kind of a failure, which is logged once: that the source is unavailable, in whatever words, and each
 * problem that an operator must solve. A server that restarts refuses, then reports that it is starting up,
 * then does not respond.
 */
const dedupeKey = ({ reason }: CameraSourceError): string =>
  reason._tag === "Unavailable" ? reason._tag : `${reason._tag} ${reason.detail}`

const unavailable = (detail: string): CameraSourceError =>
  new CameraSourceError({ reason: new Unavailable({ detail }) })

const internalError = unavailable("internal error; see the log")
