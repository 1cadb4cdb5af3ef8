/** Makes a camera source out of a way to take one snapshot. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { CameraRow } from "./Roster.ts"
import * as Deadline from "../time/Deadline.ts"
import { format, formatElapsed } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Poller from "../time/Poller.ts"
import { flappingSuffix, Incidents } from "../status/Incidents.ts"
import {
  CameraSource,
  CameraSourceError,
  type Snapshot,
  type SourceHealth,
  Unavailable
} from "./CameraSource.ts"

/**
 * - `changed`: something may have changed. While the source is away that waits for the next look by
 *   schedule, however many such hints come.
 * - `back`: the source answers, so there is a look soon, also where the schedule is far from its next.
 */
export type Hint = "changed" | "back"

/** What is polled and when. The times are read anew for each look, so they may change meanwhile. */
export interface PollingOptions {
  /** For the log: what is polled, such as `database`. */
  readonly label: string
  /** Takes all rows once. Interrupted at `takeTimeout`. */
  readonly take: Effect.Effect<ReadonlyArray<CameraRow>, CameraSourceError>
  /** Many at once cost one `take`. Default: none. */
  readonly hints?: Stream.Stream<Hint> | undefined
  /** The longest time between the end of one `take` and the next. Default 10 s. */
  readonly pollInterval?: Duration.Input | undefined
  /** How long a `take` may last. Default 10 s. */
  readonly takeTimeout?: Duration.Input | undefined
}

/**
 * After a failed `take` the next comes sooner than the poll interval, at first: 1, 2, 4, … s. Nobody who
 * asks meanwhile makes it come sooner than that: a source that is away is not asked more often for every
 * camera that restarts.
 */
const retryDelay = (failures: number): Duration.Duration =>
  Duration.seconds(Math.min(2 ** (failures - 1), 30))

/**
 * Starts polling in the scope. Logs once when the source fails, once when it fails in another way, and once
 * when it is reachable again.
 */
export const make = Effect.fnUntraced(function* (
  options: PollingOptions
): Effect.fn.Return<CameraSource["Service"], never, Scope.Scope> {
  const pollInterval = () => Duration.fromInputUnsafe(options.pollInterval ?? "10 seconds")
  const takeTimeout = () => Duration.fromInputUnsafe(options.takeTimeout ?? "10 seconds")
  const published = yield* PubSub.sliding<Snapshot>({ capacity: 1, replay: 1 })
  let health: SourceHealth = { _tag: "Connecting" }
  let failures = 0
  const incidents = new Incidents<string>()

  const takeInTime = Effect.suspend(() => {
    const time = takeTimeout()
    return Deadline.within(time, () =>
      Effect.fail(unavailable(`no response within ${format(time)}`))
    )(options.take)
  })

  const look = Effect.gen(function* () {
    const takenAt = yield* Clock.currentTimeMillis
    const rows = yield* takeInTime
    return { rows, takenAt }
  }).pipe(
    // a defect of an adapter must not end the polling
    Effect.catchDefect((defect) =>
      Effect.andThen(
        annotated(Effect.logError(`${options.label}: internal error`, defect)),
        Effect.fail(unavailable("internal error; see the log"))
      )
    )
  )

  const onSnapshot = Effect.fnUntraced(function* (snapshot: Snapshot) {
    const before = health
    health = { _tag: "Up", lastSnapshotAt: snapshot.takenAt }
    failures = 0
    const notice = incidents.succeeded(options.label, yield* Monotonic.now)
    if (notice === "resolved" && before._tag === "Down") {
      const outage = formatElapsed(snapshot.takenAt - before.since)
      yield* Effect.logInfo(
        `${options.label}: reachable again after ${outage}, ${snapshot.rows.length} rows`
      )
    }
    if (notice === "stable") yield* Effect.logInfo(`${options.label}: stable`)
    yield* PubSub.publish(published, snapshot)
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
    const suffix = notice === "flapping" ? `; ${flappingSuffix}` : ""
    yield* Effect.annotateLogs(
      Effect.logError(`${options.label}: ${error.message}; ${consequence}${suffix}`),
      "reason",
      error.reason._tag
    )
  }, annotated)

  const poller = yield* Poller.make({
    look,
    onLook: Exit.match({
      onSuccess: onSnapshot,
      onFailure: (cause) => {
        const error = Exit.findErrorOption(Exit.failCause(cause))
        return error._tag === "Some" ? onFailure(error.value) : Effect.void
      }
    }),
    ignoreHintsWhileBackingOff: () => failures > 0,
    pause: () =>
      failures === 0 ? pollInterval() : Duration.min(pollInterval(), retryDelay(failures))
  })

  if (options.hints !== undefined) {
    yield* Effect.forkScoped(
      Stream.runForEach(options.hints, (hint) => (hint === "back" ? poller.urge : poller.hint))
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
  reason._tag === "Unavailable" ? reason._tag : `${reason._tag} ${reason.message}`

const unavailable = (detail: string): CameraSourceError =>
  new CameraSourceError({ reason: new Unavailable({ detail }) })
