/**
 * Limits how many probes run at a time: in all, and against one host.
 *
 * A recorder with sixteen channels is one host. Probing all channels at once would use up the connections that its
 * relays need.
 *
 * A probe of a camera that does not respond costs next to nothing, but would keep its permit until the deadline: with
 * as many such cameras as there are permits, no other camera would be probed. So a slow probe allows one more probe,
 * within bounds. The same holds for a host, later and with fewer probes: a recorder may be slow, but one silent channel
 * must not delay the others by the whole deadline.
 *
 * If a probe finds that nothing accepts connections at its host, the probes that wait for the host fail as well.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import { isAboutHost } from "../camera/Reason.ts"
import type { Engine } from "../engine/Engine.ts"
import { nowMs } from "../time/Monotonic.ts"

export interface Limits {
  /**
   * Over all hosts; up to {@link slowShare} times as many more may be waiting for a response. Default: the
   * limit of each engine, see `Engine.concurrency`.
   */
  readonly concurrency?: number | undefined
  /** Against one host. Default 1. */
  readonly perHost?: number | undefined
}

/** The engine of a probe: when the probe is slow, and how many of its probes may run at a time. */
type Prober = Pick<Engine, "name" | "slowAfter" | "concurrency">

export interface ProbeLimiter {
  /**
   * Runs an effect with a permit of its host and a permit of all hosts. Permits are granted in the order of the calls.
   *
   * Fails without running the effect if another effect failed meanwhile for a reason that holds for the whole host,
   * see `isAboutHost`: with the same error, so all effects against a host have to fail in one way.
   *
   * @param keepHost receives the release of the host's permit after the effect succeeded. Default: the permit is
   * released at once.
   */
  readonly withPermit: (
    host: string,
    prober: Prober,
    keepHost?: (release: Effect.Effect<void>) => void
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** How many slow probes may run for each permit. */
export const slowShare = 4

/**
 * After this time a probe allows one more probe at its host. A busy recorder responds sooner, and within the default
 * deadline of 10 s four of its channels are probed instead of one.
 */
export const hostSlowAfter = Duration.seconds(3)

const hostSlowAfterMs = Duration.toMillis(hostSlowAfter)

/** The failure of another effect against the same host, see {@link ProbeLimiter.withPermit}. */
export type Failure = Exit.Exit<never, any>

/** A probe that waits or runs: it waits in the pool of its host, then in the pool of all hosts. */
interface Ticket {
  readonly prober: Prober
  readonly slowAfterMs: number
  /** `undefined` before the ticket is queued. */
  host: Pool | undefined
  /** `undefined` while the ticket waits for its host, and after its end. */
  pool: Pool | undefined
  /** When the probe started, by the monotonic clock. */
  startedMs: number | undefined
  /** Why the probe does not run. */
  failure: Failure | undefined
  /** Called when the probe may run, or has failed. */
  notify: () => void
}

/** Permits that are granted in order. A slow ticket allows one more. */
class Pool {
  readonly waiting = new Set<Ticket>()
  readonly granted = new Set<Ticket>()
  readonly #slow = new Set<Ticket>()
  readonly #limit: (ticket: Ticket) => number
  readonly #slowAfterMs: (ticket: Ticket) => number
  /** Checks for slow tickets while any ticket waits. */
  #watcher: Fiber.Fiber<never> | undefined

  constructor(limit: (ticket: Ticket) => number, slowAfterMs: (ticket: Ticket) => number) {
    this.#limit = limit
    this.#slowAfterMs = slowAfterMs
  }

  get isEmpty(): boolean {
    return this.waiting.size + this.granted.size === 0
  }

  /** Grants the permits that are free. */
  grant(onGranted: (ticket: Ticket) => void): void {
    for (const ticket of this.waiting) {
      if (this.granted.size >= this.#limit(ticket) + this.#slow.size) return
      this.waiting.delete(ticket)
      this.granted.add(ticket)
      onGranted(ticket)
    }
  }

  remove(ticket: Ticket): void {
    for (const tickets of [this.waiting, this.granted, this.#slow]) tickets.delete(ticket)
  }

  /** Starts or ends the watch. @param regrant grants the permits of the pool. */
  watch(clock: Clock.Clock, regrant: () => void): void {
    if (this.waiting.size === 0) {
      this.#watcher?.interruptUnsafe()
      this.#watcher = undefined
      return
    }
    const check = Effect.suspend(() => {
      const nextMs = this.#findSlow(nowMs(clock))
      regrant()
      return Effect.sleep(Math.max(1, nextMs))
    })
    // detached, because any ticket may leave first; yields first, because it must not run within a grant
    this.#watcher ??= Effect.runForkWith(Context.make(Clock.Clock, clock))(
      Effect.andThen(Effect.yieldNow, Effect.forever(check))
    )
  }

  /** Marks the slow tickets. Returns the time until another ticket may be slow. */
  #findSlow(now: number): number {
    let nextMs = Infinity
    for (const ticket of this.granted) {
      const slowAfterMs = this.#slowAfterMs(ticket)
      const leftMs = (ticket.startedMs ?? now) + slowAfterMs - now
      if (leftMs <= 0 && this.#slow.size < this.#limit(ticket) * slowShare) this.#slow.add(ticket)
      // the ticket that a slow ticket let in may become slow just as soon
      nextMs = Math.min(nextMs, leftMs > 0 ? leftMs : slowAfterMs)
    }
    return nextMs
  }
}

/** @param limits read for each probe; running probes keep their permits. */
export const make = (limits: () => Limits = () => ({})): ProbeLimiter => {
  const hosts = new Map<string, Pool>()
  /** By the name of the engine, or `undefined` where a number is set for all. */
  const pools = new Map<string | undefined, Pool>()
  let isGranting = false
  let grantsAgain = false

  const poolOf = (prober: Prober): Pool => {
    const key = limits().concurrency === undefined ? prober.name : undefined
    const pool =
      pools.get(key) ??
      new Pool(
        (ticket) => limits().concurrency ?? ticket.prober.concurrency,
        (ticket) => ticket.slowAfterMs
      )
    pools.set(key, pool)
    return pool
  }

  const grantAtHost = (host: Pool, clock: Clock.Clock): void => {
    host.grant((ticket) => {
      ticket.pool = poolOf(ticket.prober)
      ticket.pool.waiting.add(ticket)
    })
    host.watch(clock, () => {
      grantAtHost(host, clock)
      grantAll(clock)
    })
  }

  const grantAll = (clock: Clock.Clock): void => {
    // a probe that ends at once, or starts others, calls this function again: the loop repeats
    grantsAgain = true
    if (isGranting) return
    isGranting = true
    while (grantsAgain) {
      grantsAgain = false
      for (const pool of pools.values()) {
        pool.grant((ticket) => {
          ticket.startedMs = nowMs(clock)
          ticket.notify()
        })
      }
    }
    isGranting = false
    for (const [key, pool] of pools) {
      pool.watch(clock, () => grantAll(clock))
      if (pool.isEmpty) pools.delete(key)
    }
  }

  /** Releases the permit of all hosts, and keeps the host's. */
  const leavePool = (ticket: Ticket): void => {
    ticket.pool?.remove(ticket)
    ticket.pool = undefined
  }

  const leave = (
    name: string,
    ticket: Ticket,
    exit: Exit.Exit<unknown, unknown>,
    clock: Clock.Clock
  ): void => {
    const { host } = ticket
    // interrupted before it was queued
    if (host === undefined) return
    const remove = (other: Ticket) => {
      host.remove(other)
      leavePool(other)
    }
    remove(ticket)
    // a failure that came from another probe is not passed on
    const failure = ticket.startedMs !== undefined && isFailureOfHost(exit) ? exit : undefined
    const failed =
      failure === undefined
        ? []
        : [...host.granted, ...host.waiting].filter(({ startedMs }) => startedMs === undefined)
    for (const other of failed) remove(other)
    grantAtHost(host, clock)
    if (host.isEmpty) hosts.delete(name)
    grantAll(clock)
    // last, because each of them calls `leave`, which must not find the others
    for (const other of failed) {
      other.failure = failure
      other.notify()
    }
  }

  return {
    withPermit:
      (name, prober, keepHost) =>
      <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Clock.clockWith((clock) => {
          const ticket: Ticket = {
            prober,
            slowAfterMs: Duration.toMillis(prober.slowAfter),
            host: undefined,
            pool: undefined,
            startedMs: undefined,
            failure: undefined,
            notify: () => {}
          }
          const granted = Effect.callback<void, E>((resume) => {
            ticket.notify = () => resume(ticket.failure ?? Effect.void)
            if (ticket.startedMs !== undefined || ticket.failure !== undefined) ticket.notify()
          })
          const run = Effect.suspend(() => {
            const host =
              hosts.get(name) ??
              new Pool(
                () => limits().perHost ?? 1,
                () => hostSlowAfterMs
              )
            hosts.set(name, host)
            ticket.host = host
            host.waiting.add(ticket)
            grantAtHost(host, clock)
            grantAll(clock)
            // the common case needs no wait
            return ticket.startedMs === undefined ? Effect.andThen(granted, effect) : effect
          })
          return Effect.onExit(run, (exit) =>
            Effect.sync(() => {
              if (keepHost === undefined || Exit.isFailure(exit)) {
                return leave(name, ticket, exit, clock)
              }
              leavePool(ticket)
              grantAll(clock)
              keepHost(Effect.sync(() => leave(name, ticket, exit, clock)))
            })
          )
        })
  }
}

/** Whether an effect failed by a reason that holds for everything at its host. */
export const isFailureOfHost = (exit: Exit.Exit<unknown, unknown>): exit is Failure => {
  if (Exit.isSuccess(exit)) return false
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return Predicate.hasProperty(error, "reason") && isAboutHost(error.reason)
}
