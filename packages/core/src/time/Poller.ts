/**
 * Looks at something again and again, one look at a time.
 *
 * One fiber takes all looks: when the pause after the last one is over, when a hint says that something
 * may have changed, or when somebody asks. What comes while a look is under way is settled together by
 * the next one, so a thousand askers cost one look.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"

export interface PollerOptions<A, E> {
  readonly look: Effect.Effect<A, E>
  /** Runs after each look, before its askers hear of it. */
  readonly onLook: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
  /** How long to wait for a hint after a look, before the next one is taken anyway. */
  readonly pause: (exit: Exit.Exit<A, E>) => Duration.Duration
  /**
   * Whether hints and askers wait for the end of that pause, too, and only `urge` brings the next look
   * forward. Default: never.
   */
  readonly ignoreHintsWhileBackingOff?: ((exit: Exit.Exit<A, E>) => boolean) | undefined
  /** The least time between two looks, however many hints come. Default 50 ms. */
  readonly spacing?: Duration.Duration | undefined
}

export interface Poller<A, E> {
  /** A look that is begun after the call: soon, or where hints have to wait after the pause. */
  readonly now: Effect.Effect<A, E>
  /** Asks for a look soon, and does not wait for it. */
  readonly hint: Effect.Effect<void>
  /** The same, also where hints have to wait. */
  readonly urge: Effect.Effect<void>
}

/** Starts looking in the scope; the first look is taken at once. */
export const make = Effect.fnUntraced(function* <A, E>(
  options: PollerOptions<A, E>
): Effect.fn.Return<Poller<A, E>, never, Scope.Scope> {
  const hints = yield* Queue.dropping<void>(1)
  const urges = yield* Queue.dropping<void>(1)
  const spacing = options.spacing ?? Duration.millis(50)
  let asked = Deferred.makeUnsafe<A, E>()

  const takeOne = Effect.gen(function* () {
    // hints and askers from before the look are settled by it; those that come during it, by the next
    yield* Queue.clear(hints)
    yield* Queue.clear(urges)
    const askers = asked
    asked = Deferred.makeUnsafe()
    const exit = yield* Effect.exit(options.look)
    yield* options.onLook(exit)
    yield* Deferred.done(askers, exit)
    return exit
  })

  const awaitNext = (exit: Exit.Exit<A, E>) => {
    const ignoreHintsWhileBackingOff = options.ignoreHintsWhileBackingOff?.(exit) ?? false
    const wakers = ignoreHintsWhileBackingOff ? [urges] : [urges, hints]
    return Effect.raceAllFirst([...wakers.map(Queue.take), Effect.sleep(options.pause(exit))])
  }

  yield* takeOne.pipe(
    Effect.tap(Effect.sleep(spacing)),
    Effect.flatMap(awaitNext),
    Effect.forever,
    Effect.forkScoped
  )

  const hint = Effect.asVoid(Queue.offer(hints, undefined))
  return {
    hint,
    urge: Effect.asVoid(Queue.offer(urges, undefined)),
    now: Effect.suspend(() => {
      const answer = asked
      return Effect.andThen(hint, Deferred.await(answer))
    })
  }
})
