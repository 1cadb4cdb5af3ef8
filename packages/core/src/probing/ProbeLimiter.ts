/**
 * How many probes may run at a time: over all, and against one host.
 *
 * A recorder with sixteen channels is one host; probing all of them at once would take its connections
 * away from the relays.
 *
 * A probe that waits for a camera which does not answer costs next to nothing, but would keep its place
 * until the deadline: as many such cameras as there are places, and nobody else would be probed. So a slow
 * probe makes room for another one, within bounds.
 *
 * The same holds for a host, later and more sparingly: a recorder may be slow, but one channel of it that
 * stays silent must not keep the others from their turn for the whole deadline. And what one probe learns
 * of the host as a whole, that nothing accepts a connection there, all know that wait for it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { isAboutHost } from "../camera/Reason.ts"
import { nowMs } from "../time/Monotonic.ts"
import type { Engine } from "../engine/Engine.ts"

export interface Limits {
  /**
   * Over all hosts; up to {@link slowShare} times as many more may be waiting for an answer. All take their
   * turns in the order in which they came. Default: the prober's, see `Engine.concurrency`; then none waits
   * for the probes of another.
   */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

export interface ProbeLimiter {
  /**
   * Runs an effect when the host and then the whole have a place free.
   *
   * It fails without having run where one that ran meanwhile failed by a reason that holds for the whole
   * host, see `isAboutHost`: with the same error, so all effects against a host have to fail in one way.
   *
   * @param prober the engine: it tells when its probe is slow, and how many of its probes may run at a time.
   * @param keepHost gets what gives the host's place back after an effect that succeeded. Default: it is given
   * back at once.
   */
  readonly withPermit: (
    host: string,
    prober: Pick<Engine, "name" | "slowAfter" | "concurrency">,
    keepHost?: (release: Effect.Effect<void>) => void
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** How many slow probes may run for each place. */
export const slowShare = 4

/**
 * After this time a host's place is free for another probe: a busy recorder answers sooner, and within the
 * default deadline of 10 s four of its channels are asked instead of one.
 */
export const hostSlowAfter = Duration.seconds(3)

/** What looks for slow ones while somebody waits. It is asleep until the first of them can be slow. */
interface Watched {
  watcher: Fiber.Fiber<void> | undefined
}

const endWatch = (watched: Watched) => {
  watched.watcher?.interruptUnsafe()
  watched.watcher = undefined
}

/** The probes that share their places. */
interface Kind extends Watched {
  /** The prober, or `undefined` where a number is set for all. */
  readonly key: string | undefined
  /** Those that have their host's place: who waits for a busy host must not keep one from all others. */
  readonly waiting: Set<Turn>
  readonly running: Set<Turn>
  slow: number
}

/** A probe that runs, or waits for its turn. */
interface Turn {
  readonly host: string
  readonly prober: Pick<Engine, "name" | "slowAfter" | "concurrency">
  readonly slowAfterMs: number
  /** `undefined` while it waits for its host. */
  kind: Kind | undefined
  /** From when on it is slow; `undefined` while it waits. */
  slowAtMs: number | undefined
  isSlow: boolean
  /** From when on its host may take another; `undefined` while it waits. */
  hostSlowAtMs: number | undefined
  isHostSlow: boolean
  /** Ends the wait: lets it run, or gives the failure that is its own, too. */
  begin: (instead?: Failure) => void
}

/** The failure of another effect against the same host, see {@link ProbeLimiter.withPermit}. */
export type Failure = Exit.Exit<never, any>

interface Host {
  /** Those that have a place against it: they run, or wait for one over all. */
  readonly turns: Set<Turn>
  readonly waiting: Set<Turn>
  slow: number
}

const hostSlowAfterMs = Duration.toMillis(hostSlowAfter)

/** @param limits read for each probe; probes under way keep their permits. */
export const make = (limits: () => Limits = () => ({})): ProbeLimiter => {
  const placesFor = (turn: Turn) => limits().concurrency ?? turn.prober.concurrency
  const perHost = () => limits().perHost ?? 1
  // the first in front, in each of them
  const hosts = new Map<string, Host>()
  /** By their keys; those in which nothing runs and nothing waits are gone. */
  const kinds = new Map<Kind["key"], Kind>()
  let waitingForHost = 0
  // its own, as each kind has: it sleeps longer than a quick prober's may
  const atHosts: Watched = { watcher: undefined }
  let isBeginning = false
  let beginsAgain = false

  const kindOf = (turn: Turn): Kind => {
    const key = limits().concurrency === undefined ? turn.prober.name : undefined
    const known = kinds.get(key)
    if (known !== undefined) return known
    const kind: Kind = {
      key,
      waiting: new Set(),
      running: new Set(),
      slow: 0,
      watcher: undefined
    }
    kinds.set(key, kind)
    return kind
  }

  const admitHost = (host: Host) => {
    for (const turn of host.waiting) {
      if (host.turns.size >= perHost() + host.slow) return
      host.turns.add(turn)
      host.waiting.delete(turn)
      waitingForHost--
      turn.kind = kindOf(turn)
      turn.kind.waiting.add(turn)
    }
  }

  const beginOf = (kind: Kind, clock: Clock.Clock) => {
    for (const turn of kind.waiting) {
      if (kind.running.size >= placesFor(turn) + kind.slow) return
      kind.waiting.delete(turn)
      kind.running.add(turn)
      const now = nowMs(clock)
      turn.slowAtMs = now + turn.slowAfterMs
      turn.hostSlowAtMs = now + hostSlowAfterMs
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
    for (const kind of kinds.values()) if (kind.waiting.size === 0) endWatch(kind)
    if (waitingForHost === 0) endWatch(atHosts)
  }

  const enter = (turn: Turn, clock: Clock.Clock) => {
    const host: Host = hosts.get(turn.host) ?? { turns: new Set(), waiting: new Set(), slow: 0 }
    hosts.set(turn.host, host)
    host.waiting.add(turn)
    waitingForHost++
    admitHost(host)
    beginNext(clock)
  }

  /** Takes a turn out of wherever it is. */
  const takeOut = (turn: Turn, host: Host) => {
    if (host.waiting.delete(turn)) waitingForHost--
    if (!host.turns.delete(turn)) return
    if (turn.isHostSlow) host.slow--
    leaveKind(turn)
  }

  /** Gives back the place over all, and keeps the host's. */
  const leaveKind = (turn: Turn) => {
    const { kind } = turn
    if (kind === undefined) return
    turn.kind = undefined
    if (!kind.running.delete(turn)) kind.waiting.delete(turn)
    if (turn.isSlow) kind.slow--
    if (kind.running.size + kind.waiting.size > 0) return
    kinds.delete(kind.key)
    endWatch(kind)
  }

  const leave = (turn: Turn, exit: Exit.Exit<unknown, unknown>, clock: Clock.Clock) => {
    const host = hosts.get(turn.host)
    // interrupted before it came in
    if (host === undefined) return
    takeOut(turn, host)
    // one that was told by another does not tell on
    const failure = turn.slowAtMs !== undefined && isFailureOfHost(exit) ? exit : undefined
    const concerned =
      failure === undefined
        ? []
        : [...host.turns, ...host.waiting].filter(({ slowAtMs }) => slowAtMs === undefined)
    for (const other of concerned) takeOut(other, host)
    admitHost(host)
    if (host.turns.size === 0) hosts.delete(turn.host)
    beginNext(clock)
    // each comes back to here, and must find the others gone
    for (const other of concerned) other.begin(failure)
  }

  /** Lets the slow ones of a kind make room; gives how long it is until there may be another. */
  const releaseSlow = (kind: Kind, clock: Clock.Clock): number => {
    const now = nowMs(clock)
    let nextMs = Infinity
    for (const turn of kind.running) {
      const untilSlowMs = (turn.slowAtMs ?? now) - now
      if (untilSlowMs <= 0 && !turn.isSlow && kind.slow < placesFor(turn) * slowShare) {
        turn.isSlow = true
        kind.slow++
      }
      // where it has made room already, the one that came into it may be as quick
      nextMs = Math.min(nextMs, untilSlowMs > 0 ? untilSlowMs : turn.slowAfterMs)
    }
    beginNext(clock)
    return nextMs
  }

  /** The same for the places at the hosts that somebody waits for. */
  const releaseSlowHosts = (clock: Clock.Clock): number => {
    const now = nowMs(clock)
    let nextMs = Infinity
    for (const host of hosts.values()) {
      if (host.waiting.size === 0) continue
      for (const turn of host.turns) {
        const untilSlowMs = (turn.hostSlowAtMs ?? now + hostSlowAfterMs) - now
        if (untilSlowMs <= 0 && !turn.isHostSlow && host.slow < perHost() * slowShare) {
          turn.isHostSlow = true
          host.slow++
        }
        nextMs = Math.min(nextMs, untilSlowMs > 0 ? untilSlowMs : hostSlowAfterMs)
      }
      admitHost(host)
    }
    beginNext(clock)
    return nextMs
  }

  /** The fiber is nobody's: the one that it was begun by may be the first to leave. */
  const beginWatch = (watched: Watched, look: () => number): Effect.Effect<void> =>
    Effect.map(
      Effect.forkDetach(Effect.forever(Effect.suspend(() => Effect.sleep(Math.max(1, look()))))),
      (fiber) => {
        watched.watcher = fiber
      }
    )

  /** Begins to watch who is slow, where somebody waits. It ends when nobody waits any more. */
  const watch = (clock: Clock.Clock): Effect.Effect<void> => {
    const looks: Array<Effect.Effect<void>> = []
    for (const kind of kinds.values()) {
      if (kind.waiting.size === 0 || kind.watcher !== undefined) continue
      looks.push(beginWatch(kind, () => releaseSlow(kind, clock)))
    }
    if (waitingForHost > 0 && atHosts.watcher === undefined) {
      looks.push(beginWatch(atHosts, () => releaseSlowHosts(clock)))
    }
    return looks.length === 0
      ? Effect.void
      : Effect.uninterruptible(Effect.all(looks, { discard: true }))
  }

  /** Gives the failure that ends it, where it needs no turn any more. */
  const awaitTurn = (turn: Turn, clock: Clock.Clock): Effect.Effect<Failure | undefined> => {
    let given: Failure | undefined
    let isGiven = false
    turn.begin = (instead) => {
      given = instead
      isGiven = true
    }
    const begun = Effect.callback<Failure | undefined>((resume) => {
      if (isGiven || turn.slowAtMs !== undefined) resume(Effect.succeed(given))
      else turn.begin = (instead) => resume(Effect.succeed(instead))
    })
    return Effect.andThen(watch(clock), begun)
  }

  return {
    withPermit:
      (host, prober, keepHost) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Clock.clockWith((clock) => {
          const turn: Turn = {
            host,
            prober,
            slowAfterMs: Duration.toMillis(prober.slowAfter),
            kind: undefined,
            slowAtMs: undefined,
            isSlow: false,
            hostSlowAtMs: undefined,
            isHostSlow: false,
            begin: () => {}
          }
          const inTurn = Effect.suspend((): Effect.Effect<A, E, R> => {
            enter(turn, clock)
            // most need not wait
            return turn.slowAtMs === undefined
              ? Effect.flatMap(awaitTurn(turn, clock), (instead) => instead ?? effect)
              : effect
          })
          const leaveAll = (exit: Exit.Exit<unknown, unknown>) =>
            Effect.suspend(() => {
              leave(turn, exit, clock)
              // the next one at its host may wait now, where nobody waited before
              return watch(clock)
            })
          return Effect.onExit(inTurn, (exit) => {
            if (keepHost === undefined || Exit.isFailure(exit)) return leaveAll(exit)
            leaveKind(turn)
            beginNext(clock)
            keepHost(leaveAll(exit))
            return watch(clock)
          })
        })
  }
}

/** Whether an effect failed by a reason that holds for everything at its host. */
export const isFailureOfHost = (exit: Exit.Exit<unknown, unknown>): exit is Failure => {
  if (Exit.isSuccess(exit)) return false
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return Predicate.hasProperty(error, "reason") && isAboutHost(error.reason)
}
