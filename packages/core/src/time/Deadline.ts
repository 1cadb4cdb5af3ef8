/**
 * Deadlines by the time in which this process ran.
 *
 * A process that was stopped, or whose machine was asleep or starved it, finds all its timers due at once
 * when it goes on, and has read nothing of what came meanwhile. Whoever it waited for is not to blame.
 *
 * One fiber watches over all deadlines of a clock, while somebody waits by one: a probe of a hundred cameras
 * has a hundred of them, and a fiber with a timer for each was a tenth of what the probe cost.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { nowMs } from "./Monotonic.ts"

/** A deadline is slept through in this many pieces at least: how well a standstill is noticed. */
const pieces = 4

/** A piece that lasts longer than twice its time by more than this has a standstill in it. */
const leastStandstillMs = 100

/**
 * A time within which something has to come, in one wait or in several: whoever asks a server again and
 * again hands it down to each question.
 *
 * What is between the waits does not count: we need next to no time there, unless we stand still. After a
 * standstill during a wait a quarter of the time is left at least. A process that stands still again and
 * again ends the wait all the same: the fifth standstill counts.
 */
export interface Deadline {
  readonly clock: Clock.Clock
  /** All of it, in milliseconds; may be `Infinity`. */
  readonly ms: number
  /** What is left of it when nobody waits. */
  leftMs: number
  /** How many standstills did not count so far. */
  standstills: number
  /** One that its waits count for, too. */
  readonly outer: Deadline | undefined
}

/** One who waits. */
interface Wait {
  /** What it counts for, with all that are around it. */
  readonly deadline: Deadline
  /** The one of these that is over first. */
  readonly first: Deadline
  /** By the monotonic clock; put off by each standstill. */
  dueMs: number
  readonly onLate: () => void
}

/** All waits of one clock. */
interface Watch {
  readonly waits: Set<Wait>
  watcher: Fiber.Fiber<void> | undefined
  /** When the watcher looked last, and when it looks the next time. */
  lookedAtMs: number
  looksAtMs: number
}

const watches = new WeakMap<Clock.Clock, Watch>()

const watchOf = (clock: Clock.Clock): Watch => {
  const known = watches.get(clock)
  if (known !== undefined) return known
  const watch: Watch = { waits: new Set(), watcher: undefined, lookedAtMs: 0, looksAtMs: 0 }
  watches.set(clock, watch)
  return watch
}

/** A deadline for the waits to come. */
export const make = (time: Duration.Input): Effect.Effect<Deadline> => use(time, Effect.succeed)

/**
 * Runs with a deadline of its own.
 *
 * @param outer what is waited counts for that one, too, and it may be over before.
 */
export const use = <A, E, R>(
  time: Duration.Input,
  run: (deadline: Deadline) => Effect.Effect<A, E, R>,
  outer?: Deadline
): Effect.Effect<A, E, R> =>
  outer === undefined
    ? Clock.clockWith((clock) => run(begin(clock, time)))
    : Effect.suspend(() => run(inside(outer, time)))

const begin = (clock: Clock.Clock, time: Duration.Input, outer?: Deadline): Deadline => {
  const ms = Duration.toMillis(Duration.fromInputUnsafe(time))
  return { clock, ms, leftMs: ms, standstills: 0, outer }
}

/** An infinite one adds nothing to the outer. */
const inside = (outer: Deadline, time: Duration.Input): Deadline =>
  Duration.isFinite(Duration.fromInputUnsafe(time)) ? begin(outer.clock, time, outer) : outer

const tightest = (deadline: Deadline): Deadline => {
  const outer = deadline.outer === undefined ? undefined : tightest(deadline.outer)
  return outer !== undefined && outer.leftMs <= deadline.leftMs ? outer : deadline
}

/**
 * `Effect.callback` that must resume by a deadline. Otherwise what `register` gave is run, and then what
 * `orElse` gives for the deadline's time in milliseconds. It costs no fiber.
 */
export const callback = <A, E, A2, E2, R2>(
  deadline: Deadline,
  register: (resume: (effect: Effect.Effect<A, E>) => void) => Effect.Effect<void> | void,
  orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R2> =>
  Effect.suspend(() => {
    const first = tightest(deadline)
    if (first.ms === Infinity) return Effect.callback(register)
    const watch = watchOf(deadline.clock)
    const now = nowMs(deadline.clock)
    const dueMs = now + first.leftMs
    const waiting = Effect.callback<A | A2, E | E2, R2>((resume) => {
      let onEnd: Effect.Effect<void> = Effect.void
      const onLate = () =>
        resume(
          Effect.andThen(
            onEnd,
            Effect.suspend(() => orElse(first.ms))
          )
        )
      const wait: Wait = { deadline, first, dueMs, onLate }
      watch.waits.add(wait)
      onEnd =
        register((effect) => {
          leave(watch, wait)
          resume(effect)
        }) ?? Effect.void
      return Effect.suspend(() => {
        leave(watch, wait)
        return onEnd
      })
    })
    const looksAtMs = Math.min(now + first.ms / pieces, dueMs)
    return watch.watcher !== undefined && watch.looksAtMs <= looksAtMs
      ? waiting
      : Effect.andThen(beginLooking(watch, deadline.clock, now, looksAtMs), waiting)
  })

/**
 * An effect that must end by a deadline. Otherwise it is interrupted, and what `orElse` gives for the
 * deadline's time in milliseconds runs in its place.
 */
export const by =
  <A2, E2, R2>(deadline: Deadline, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> =>
    tightest(deadline).ms === Infinity
      ? effect
      : Effect.flatMap(Effect.forkChild(effect, { startImmediately: true }), (fiber) =>
          callback(
            deadline,
            (resume: (effect: Effect.Effect<A, E>) => void) => {
              fiber.addObserver(resume)
              return Effect.asVoid(Fiber.interrupt(fiber))
            },
            orElse
          )
        )

/** Like {@link by}, with a deadline of its own. An infinite time costs nothing. */
export const within =
  <A2, E2, R2>(time: Duration.Input, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> =>
    use(time, (deadline) => by(deadline, orElse)(effect))

/** Ends a wait, and counts it. */
const leave = (watch: Watch, wait: Wait): void => {
  if (!watch.waits.has(wait)) return
  const now = nowMs(wait.deadline.clock)
  // the standstill's end may have come to us before it came to the watcher
  passOverStandstill(watch, now)
  const waitedMs = Math.max(0, wait.first.leftMs - (wait.dueMs - now))
  for (let each: Deadline | undefined = wait.deadline; each !== undefined; each = each.outer) {
    each.leftMs = Math.max(0, each.leftMs - waitedMs)
  }
  watch.waits.delete(wait)
  if (watch.waits.size > 0) return
  watch.watcher?.interruptUnsafe()
  watch.watcher = undefined
}

/** Has a watcher look at a time. It is nobody's: whoever began it may leave first. */
const beginLooking = (
  watch: Watch,
  clock: Clock.Clock,
  now: number,
  looksAtMs: number
): Effect.Effect<void> =>
  Effect.suspend(() => {
    watch.watcher?.interruptUnsafe()
    watch.lookedAtMs = now
    watch.looksAtMs = looksAtMs
    return Effect.map(Effect.forkDetach(keepLooking(watch, clock)), (fiber) => {
      watch.watcher = fiber
    }).pipe(Effect.uninterruptible)
  })

/** Looks as long as anybody waits. */
const keepLooking = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (watch.waits.size > 0) {
      return Effect.flatMap(look(watch, clock), () => keepLooking(watch, clock))
    }
    watch.watcher = undefined
    return Effect.void
  })

/** Sleeps for a piece, and tells those that are late. */
const look = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> => {
  const lookedAtMs = nowMs(clock)
  let pieceMs = Infinity
  for (const { dueMs, first } of watch.waits) {
    pieceMs = Math.min(pieceMs, first.ms / pieces, Math.max(0, dueMs - lookedAtMs))
  }
  watch.lookedAtMs = lookedAtMs
  watch.looksAtMs = lookedAtMs + pieceMs
  return Effect.flatMap(Effect.sleep(pieceMs), () => {
    const now = nowMs(clock)
    passOverStandstill(watch, now)
    // timers are served before sockets: one round of the event loop brings in what came just in time
    return Effect.map(Effect.yieldNow, () => {
      for (const wait of watch.waits) {
        if (wait.dueMs > now) continue
        leave(watch, wait)
        wait.onLate()
      }
    })
  })
}

/**
 * Puts all waits off where the watcher comes too late. How much of its piece we ran before we stood still
 * is not known, so it does not count at all.
 */
const passOverStandstill = (watch: Watch, now: number): void => {
  const pieceMs = watch.looksAtMs - watch.lookedAtMs
  if (now - watch.looksAtMs <= Math.max(pieceMs, leastStandstillMs)) return
  for (const wait of watch.waits) {
    if (wait.first.standstills === pieces) continue
    wait.first.standstills++
    wait.dueMs += now - watch.lookedAtMs
  }
  watch.lookedAtMs = now
  watch.looksAtMs = now
}
