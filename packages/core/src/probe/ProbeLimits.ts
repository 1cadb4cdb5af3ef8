/**
 * How many probes may run at a time: over all, and against one host.
 *
 * A recorder with sixteen channels is one host; probing all of them at once would take its connections
 * away from the relays.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

/** Read anew for each probe, so they may change meanwhile; probes under way keep their places. */
export interface ProbeLimitsOptions {
  /** Over all hosts. Default 32. */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

export interface ProbeLimits {
  /** Runs an effect when the host and then the whole have a place free. */
  readonly withPlace: (
    host: string
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const make = (options: ProbeLimitsOptions = {}): ProbeLimits => {
  const concurrency = () => options.concurrency ?? 32
  const perHost = () => options.perHost ?? 1
  const whole = Semaphore.makeUnsafe(concurrency())
  const hosts = new Map<string, { readonly semaphore: Semaphore.Semaphore; users: number }>()

  const enter = Effect.fnUntraced(function* (host: string) {
    const entry = hosts.get(host) ?? { semaphore: Semaphore.makeUnsafe(perHost()), users: 0 }
    entry.users++
    hosts.set(host, entry)
    yield* Semaphore.resize(entry.semaphore, perHost())
    yield* Semaphore.resize(whole, concurrency())
    return entry
  })

  return {
    // the host's place first: who waits for a busy host must not keep a place from all others
    withPlace: (host) => (effect) =>
      Effect.acquireUseRelease(
        enter(host),
        (entry) => entry.semaphore.withPermit(whole.withPermit(effect)),
        (entry) =>
          Effect.sync(() => {
            if (--entry.users === 0) hosts.delete(host)
          })
      )
  }
}
