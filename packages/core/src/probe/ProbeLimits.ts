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
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { Prober } from "./Prober.ts"

/** Read anew for each probe, so they may change meanwhile; probes under way keep their places. */
export interface ProbeLimitsOptions {
  /**
   * Over all hosts; up to {@link slowShare} times as many more may be waiting for an answer. Default: the
   * prober's, see `Prober.concurrency`.
   */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

export interface ProbeLimits {
  /**
   * Runs an effect when the host and then the whole have a place free.
   *
   * @param prober whose probe it is: it tells when it is slow, and how many of its may run.
   */
  readonly withPlace: (
    host: string,
    prober: Pick<Prober, "slowAfter" | "concurrency">
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** How many slow probes may run for each place. */
export const slowShare = 4

/** A probe that runs, or waits for its turn. */
interface Turn {
  readonly host: string
  readonly slowAfterMs: number
  /** How many may run at a time, where nothing else is set. */
  readonly concurrency: number
  /** From when on it is slow; `undefined` while it waits. */
  slowAtMs: number | undefined
  isSlow: boolean
  /** Lets it run. */
  begin: () => void
}

interface Host {
  /** How many have a place against it: they run, or wait for one over all. */
  taken: number
  readonly waiting: Set<Turn>
}

const nowMs = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

export const make = (options: ProbeLimitsOptions = {}): ProbeLimits => {
  const placesFor = (turn: Turn) => options.concurrency ?? turn.concurrency
  const perHost = () => options.perHost ?? 1
  // the first in front, in each of them
  const hosts = new Map<string, Host>()
  /** Those that have their host's place: who waits for a busy host must not keep one from all others. */
  const waiting = new Set<Turn>()
  const running = new Set<Turn>()
  let slow = 0
  let isBeginning = false
  let watcher: Fiber.Fiber<void> | undefined

  const takeHost = (host: Host) => {
    for (const turn of host.waiting) {
      if (host.taken >= perHost()) return
      host.taken++
      host.waiting.delete(turn)
      waiting.add(turn)
    }
  }

  const beginNext = (clock: Clock.Clock) => {
    // one that ends at once, or brings others, comes back to here: the loop below sees them
    if (isBeginning) return
    isBeginning = true
    for (const turn of waiting) {
      if (running.size >= placesFor(turn) + slow) break
      waiting.delete(turn)
      running.add(turn)
      turn.slowAtMs = nowMs(clock) + turn.slowAfterMs
      turn.begin()
    }
    isBeginning = false
    if (waiting.size === 0) {
      watcher?.interruptUnsafe()
      watcher = undefined
    }
  }

  const enter = (turn: Turn, clock: Clock.Clock) => {
    const host = hosts.get(turn.host) ?? { taken: 0, waiting: new Set() }
    hosts.set(turn.host, host)
    host.waiting.add(turn)
    takeHost(host)
    beginNext(clock)
  }

  const leave = (turn: Turn, clock: Clock.Clock) => {
    const host = hosts.get(turn.host)
    // interrupted before it came in
    if (host === undefined) return
    if (running.delete(turn) || waiting.delete(turn)) host.taken--
    else host.waiting.delete(turn)
    if (turn.isSlow) slow--
    takeHost(host)
    if (host.taken === 0) hosts.delete(turn.host)
    beginNext(clock)
  }

  /** Lets the slow ones make room; gives how long it is until there may be another. */
  const makeRoom = (clock: Clock.Clock): number => {
    const now = nowMs(clock)
    let nextMs = Infinity
    for (const turn of running) {
      const untilSlowMs = (turn.slowAtMs ?? now) - now
      if (untilSlowMs <= 0 && !turn.isSlow && slow < placesFor(turn) * slowShare) {
        turn.isSlow = true
        slow++
      }
      // where it has made room already, the one that came into it may be as quick
      nextMs = Math.min(nextMs, untilSlowMs > 0 ? untilSlowMs : turn.slowAfterMs)
    }
    beginNext(clock)
    return nextMs
  }

  /**
   * Begins to watch who is slow, where somebody waits. The fiber is nobody's: the one that it was begun by
   * may be the first to leave. It ends when nobody waits any more.
   */
  const watch = (clock: Clock.Clock): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (watcher !== undefined || waiting.size === 0) return Effect.void
      const look = Effect.suspend(() => Effect.sleep(Math.max(1, makeRoom(clock))))
      return Effect.map(Effect.forkDetach(Effect.forever(look)), (fiber) => {
        watcher = fiber
      })
    }).pipe(Effect.uninterruptible)

  const awaitTurn = (turn: Turn, clock: Clock.Clock): Effect.Effect<void> =>
    Effect.suspend(() => {
      enter(turn, clock)
      if (turn.slowAtMs !== undefined) return Effect.void
      const begun = Effect.callback<void>((resume) => {
        if (turn.slowAtMs !== undefined) resume(Effect.void)
        else turn.begin = () => resume(Effect.void)
      })
      return Effect.andThen(watch(clock), begun)
    })

  return {
    withPlace:
      (host, { concurrency, slowAfter }) =>
      (effect) =>
        Clock.clockWith((clock) => {
          const turn: Turn = {
            host,
            slowAfterMs: Duration.toMillis(slowAfter),
            concurrency,
            slowAtMs: undefined,
            isSlow: false,
            begin: () => {}
          }
          return Effect.ensuring(
            Effect.andThen(awaitTurn(turn, clock), effect),
            Effect.suspend(() => {
              leave(turn, clock)
              // the next one at its host may wait now, where nobody waited before
              return watch(clock)
            })
          )
        })
  }
}
