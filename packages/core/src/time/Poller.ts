/**
 * Runs an effect periodically and on demand, one poll at a time.
 *
 * One fiber does all polls: after the interval, after `invalidate`, or when a caller waits for `now`. All callers
 * that arrive during a poll share the next poll, so a thousand callers cost one poll. A defect of a poll, of
 * `onResult` or of a logger does not end the polling.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Monotonic from "./Monotonic.ts"

export interface PollerOptions<A, E> {
  readonly poll: Effect.Effect<A, E>
  /** Replaces `poll` if only `invalidate` or `wake` requested the poll. Default: `poll`. */
  readonly pollHinted?: Effect.Effect<A, E> | undefined
  /** Runs after each poll, before its callers get the result. */
  readonly onResult: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
  /** The longest time between a poll and the next one. */
  readonly interval: (exit: Exit.Exit<A, E>) => Effect.Effect<Duration.Duration>
  /** Whether `invalidate` and `now` wait for the end of the interval, and only `wake` shortens it. Default: never. */
  readonly ignoresInvalidations?: ((exit: Exit.Exit<A, E>) => boolean) | undefined
  /** The minimum time between two polls. Default 50 ms. */
  readonly spacing?: Duration.Duration | undefined
  /**
   * The delay before a poll that only `invalidate` requested, as a multiple of the duration of the previous poll;
   * at most 10 s. Bounds the share of time that continuous invalidations cost. Default 0.
   */
  readonly restAfterPoll?: number | undefined
  /** The same for a poll that callers of `now` wait for. Default 0. */
  readonly restBeforeRequest?: number | undefined
  /** The minimum delay after an invalidation, for the cost of a result to its readers. Default 0. */
  readonly restAtLeast?: ((exit: Exit.Exit<A, E>) => Duration.Duration) | undefined
}

const maxRestMs = 10_000

export interface Poller<A, E> {
  /** The result of a poll that begins after the call. */
  readonly now: Effect.Effect<A, E>
  /** Requests a poll without waiting for it. The poll starts at once if the last poll is long enough ago. */
  readonly invalidate: Effect.Effect<void>
  /** The same, also while `invalidate` is ignored. */
  readonly wake: Effect.Effect<void>
}

/** Starts polling in the scope, with the first poll at once. */
export const make = Effect.fnUntraced(function* <A, E>(
  options: PollerOptions<A, E>
): Effect.fn.Return<Poller<A, E>, never, Scope.Scope> {
  const invalidations = yield* Queue.dropping<void>(1)
  const wakes = yield* Queue.dropping<void>(1)
  const requests = yield* Queue.dropping<void>(1)
  const spacing = options.spacing ?? Duration.millis(50)
  let requested = Deferred.makeUnsafe<A, E>()

  let isHinted = false

  const pollOnce = Effect.gen(function* () {
    // this poll serves all requests before it; requests during it are served by the next poll
    yield* Queue.clear(invalidations)
    yield* Queue.clear(wakes)
    const hasRequests = (yield* Queue.clear(requests)).length > 0
    const poll = isHinted && !hasRequests ? options.pollHinted : undefined
    const waiting = requested
    requested = Deferred.makeUnsafe()
    const startedAt = yield* Monotonic.now
    const exit = yield* Effect.exit(poll ?? options.poll)
    const tookMs = (yield* Monotonic.now) - startedAt
    yield* Effect.catchDefect(options.onResult(exit), reportDefect)
    yield* Deferred.done(waiting, exit)
    const leastMs = Duration.toMillis(options.restAtLeast?.(exit) ?? Duration.zero)
    const restMs = Math.min(Math.max(tookMs * (options.restAfterPoll ?? 0), leastMs), maxRestMs)
    const requestRestMs = Math.min(tookMs * (options.restBeforeRequest ?? 0), maxRestMs)
    return { exit, rest: Duration.millis(restMs), requestRest: Duration.millis(requestRestMs) }
  })

  const awaitNext = ({ exit, requestRest, rest }: Effect.Success<typeof pollOnce>) =>
    Effect.raceAllFirst([
      Effect.as(Queue.take(wakes), true),
      ...(options.ignoresInvalidations?.(exit) === true
        ? []
        : [
            Effect.sleep(requestRest).pipe(Effect.andThen(Queue.take(requests)), Effect.as(false)),
            Effect.sleep(rest).pipe(Effect.andThen(Queue.take(invalidations)), Effect.as(true))
          ]),
      Effect.as(Effect.flatMap(options.interval(exit), Effect.sleep), false)
    ])

  yield* pollOnce.pipe(
    Effect.tap(Effect.sleep(spacing)),
    Effect.flatMap(awaitNext),
    Effect.map((isNextHinted) => {
      isHinted = isNextHinted
    }),
    Effect.forever,
    Effect.forkScoped
  )

  const invalidate = Effect.asVoid(Queue.offer(invalidations, undefined))
  return {
    invalidate,
    wake: Effect.asVoid(Queue.offer(wakes, undefined)),
    now: Effect.suspend(() => {
      const answer = requested
      return Effect.andThen(Queue.offer(requests, undefined), Deferred.await(answer))
    })
  }
})

/** The logger of an embedding program may throw, also for this line. */
const reportDefect = (defect: unknown): Effect.Effect<void> =>
  Effect.catchDefect(Effect.logError("internal error", defect), () => Effect.void)
