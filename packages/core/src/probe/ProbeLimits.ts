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
   * Over all hosts; up to {@link slowShare} times as many more may be waiting for an answer. All take their
   * turns in the order in which they came. Default: the prober's, see `Prober.concurrency`; then none waits
   * for the probes of another.
   */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

export interface ProbeLimits {
  /**
   * Runs an effect when the host and then the whole have a place free.
   *
   * @param prober whose probe it is: it tells when it is slow, and how many of its may run. The same object
   * for all that share these places.
   */
  readonly withPlace: (
    host: string,
    prober: Pick<Prober, "slowAfter" | "concurrency">
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** How many slow probes may run for each place. */
export const slowShare = 4

/** The probes that share their places. */
interface Kind {
  /** The prober, or `undefined` where a number is set for all. */
  readonly key: Turn["prober"] | undefined
  /** Those that have their host's place: who waits for a busy host must not keep one from all others. */
  readonly waiting: Set<Turn>
  readonly running: Set<Turn>
  slow: number
}

/** A probe that runs, or waits for its turn. */
interface Turn {
  readonly host: string
  readonly prober: Pick<Prober, "slowAfter" | "concurrency">
  readonly slowAfterMs: number
  /** `undefined` while it waits for its host. */
  kind: Kind | undefined
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
  const placesFor = (turn: Turn) => options.concurrency ?? turn.prober.concurrency
  const perHost = () => options.perHost ?? 1
  // the first in front, in each of them
  const hosts = new Map<string, Host>()
  /** By their keys; those in which nothing runs and nothing waits are gone. */
  const kinds = new Map<Kind["key"], Kind>()
  let waiting = 0
  let isBeginning = false
  let beginsAgain = false
  let watcher: Fiber.Fiber<void> | undefined

  const kindOf = (turn: Turn): Kind => {
    const key = options.concurrency === undefined ? turn.prober : undefined
    const known = kinds.get(key)
    if (known !== undefined) return known
    const kind: Kind = { key, waiting: new Set(), running: new Set(), slow: 0 }
    kinds.set(key, kind)
    return kind
  }

  const takeHost = (host: Host) => {
    for (const turn of host.waiting) {
      if (host.taken >= perHost()) return
      host.taken++
      host.waiting.delete(turn)
      turn.kind = kindOf(turn)
      turn.kind.waiting.add(turn)
      waiting++
    }
  }

  const beginOf = (kind: Kind, clock: Clock.Clock) => {
    for (const turn of kind.waiting) {
      if (kind.running.size >= placesFor(turn) + kind.slow) return
      kind.waiting.delete(turn)
      waiting--
      kind.running.add(turn)
      turn.slowAtMs = nowMs(clock) + turn.slowAfterMs
      turn.begin()
    }
  }

  const beginNext = (clock: Clock.Clock) => {
    // one that ends at once, or brings others, comes back to here: the loop below sees them
    beginsAgain = true
    if (isBeginning) return
    isBeginning = true
    while (beginsAgain) {
      beginsAgain = false
      for (const kind of kinds.values()) beginOf(kind, clock)
    }
    isBeginning = false
    if (waiting === 0) {
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
    const { kind } = turn
    if (kind === undefined) host.waiting.delete(turn)
    else {
      host.taken--
      if (!kind.running.delete(turn) && kind.waiting.delete(turn)) waiting--
      if (turn.isSlow) kind.slow--
      if (kind.running.size + kind.waiting.size === 0) kinds.delete(kind.key)
    }
    takeHost(host)
    if (host.taken === 0) hosts.delete(turn.host)
    beginNext(clock)
  }

  /** Lets the slow ones make room; gives how long it is until there may be another. */
  const makeRoom = (clock: Clock.Clock): number => {
    const now = nowMs(clock)
    let nextMs = Infinity
    for (const kind of kinds.values()) {
      if (kind.waiting.size === 0) continue
      for (const turn of kind.running) {
        const untilSlowMs = (turn.slowAtMs ?? now) - now
        if (untilSlowMs <= 0 && !turn.isSlow && kind.slow < placesFor(turn) * slowShare) {
          turn.isSlow = true
          kind.slow++
        }
        // where it has made room already, the one that came into it may be as quick
        nextMs = Math.min(nextMs, untilSlowMs > 0 ? untilSlowMs : turn.slowAfterMs)
      }
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
      if (watcher !== undefined || waiting === 0) return Effect.void
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
    withPlace: (host, prober) => (effect) =>
      Clock.clockWith((clock) => {
        const turn: Turn = {
          host,
          prober,
          slowAfterMs: Duration.toMillis(prober.slowAfter),
          kind: undefined,
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
