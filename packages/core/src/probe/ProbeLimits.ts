/**
 * How many probes may run at a time: over all, and against one host.
 *
 * A recorder with sixteen channels is one host; probing all of them at once would take its connections
 * away from the relays.
 *
 * A probe that waits for a camera which does not answer costs next to nothing, but would keep its place
 * until the deadline: as many such cameras as there are places, and nobody else would be probed. So a slow
 * probe makes room for another one, within bounds.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"

/** Read anew for each probe, so they may change meanwhile; probes under way keep their places. */
export interface ProbeLimitsOptions {
  /** Over all hosts. Default 32; up to {@link slowShare} times as many more may be waiting for an answer. */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

export interface ProbeLimits {
  /**
   * Runs an effect when the host and then the whole have a place free.
   *
   * @param slowAfter when it only waits and makes room for another; see `Prober.slowAfter`.
   */
  readonly withPlace: (
    host: string,
    slowAfter: Duration.Duration
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** How many slow probes may run for each place. */
export const slowShare = 4

export const make = (options: ProbeLimitsOptions = {}): ProbeLimits => {
  const places = () => options.concurrency ?? 32
  const perHost = () => options.perHost ?? 1
  const whole = Semaphore.makeUnsafe(places())
  const hosts = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()
  let slow = 0

  const resize = Effect.suspend(() => whole.resize(places() + slow))

  const enter = Effect.fnUntraced(function* (host: string) {
    const entry = hosts.get(host) ?? { semaphore: Semaphore.makeUnsafe(perHost()), users: 0 }
    entry.users++
    hosts.set(host, entry)
    yield* Semaphore.resize(entry.semaphore, perHost())
    yield* resize
    return entry
  })

  /** Makes room for another one, for as long as it is waited for. */
  const makeRoom = Effect.acquireUseRelease(
    Effect.suspend(() => {
      if (slow >= places() * slowShare) return Effect.succeed(false)
      slow++
      return Effect.as(resize, true)
    }),
    () => Effect.never,
    (hasMade) => {
      if (!hasMade) return Effect.void
      slow--
      return resize
    }
  )

  /** The effect; from when it is slow on, there is a place more. */
  const makingRoom = <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    slowAfter: Duration.Duration
  ): Effect.Effect<A, E, R> =>
    Effect.forkChild(Effect.delay(makeRoom, slowAfter)).pipe(
      Effect.flatMap((fiber) => Effect.ensuring(effect, Fiber.interrupt(fiber)))
    )

  return {
    // the host's place first: who waits for a busy host must not keep a place from all others
    withPlace: (host, slowAfter) => (effect) =>
      Effect.acquireUseRelease(
        enter(host),
        (entry) => entry.semaphore.withPermit(whole.withPermit(makingRoom(effect, slowAfter))),
        (entry) =>
          Effect.sync(() => {
            if (--entry.users === 0) hosts.delete(host)
          })
      )
  }
}
