/**
 * Deadlines that ignore the time during which the process was suspended.
 *
 * After SIGSTOP, a pause of the virtual machine, or a blocked event loop, every timer is due at once, before
 * any response that arrived meanwhile is read. A plain timeout would then blame a camera or a server that
 * responded in time.
 *
 * One fiber per clock watches all deadlines while at least one effect waits: with a fiber and a timer for each
 * deadline, a probe used a tenth more CPU time.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { nowMs } from "./Monotonic.ts"

/** The watcher sleeps at most this fraction of the shortest deadline, so that it notices a suspension. */
const slices = 4

/** A slice contains a suspension if it is late by more than this time and by more than its own length. */
const minSuspensionMs = 100

/**
 * A time limit for one wait, or for several waits together.
 *
 * Time between the waits is not charged to the deadline. After a suspension during a wait, at least a quarter of
 * the time is left. A process that is suspended repeatedly still times out: the fifth suspension is charged to the
 * deadline.
 */
export interface Deadline {
  readonly clock: Clock.Clock
  /** The whole time, in milliseconds; may be `Infinity`. */
  readonly ms: number
  /** The time left while no effect waits, in milliseconds. */
  leftMs: number
  /** The number of suspensions that were not charged. */
  suspensions: number
  /** The deadline that the waits are charged to as well. */
  readonly outer: Deadline | undefined
}

interface Wait {
  readonly deadline: Deadline
  /** Of the deadline and its outer deadlines, the one that ends first. */
  readonly tightest: Deadline
  /** The end of the wait, by the monotonic clock; each suspension postpones it. */
  dueMs: number
  readonly onTimeout: () => void
}

/** All waits of one clock. */
interface Watch {
  readonly waits: Set<Wait>
  watcher: Fiber.Fiber<void> | undefined
  /** The start and the end of the current slice, by the monotonic clock. */
  sliceStartMs: number
  sliceEndMs: number
}

const watches = new WeakMap<Clock.Clock, Watch>()

const watchOf = (clock: Clock.Clock): Watch => {
  const existing = watches.get(clock)
  if (existing !== undefined) return existing
  const watch: Watch = { waits: new Set(), watcher: undefined, sliceStartMs: 0, sliceEndMs: 0 }
  watches.set(clock, watch)
  return watch
}

/** Makes a deadline for later waits. Only waits are charged to the deadline. */
export const make = (time: Duration.Input): Effect.Effect<Deadline> => use(time, Effect.succeed)

/**
 * Runs an effect with a new deadline.
 *
 * @param outer its waits are charged to this deadline as well, which may end first.
 */
export const use = <A, E, R>(
  time: Duration.Input,
  run: (deadline: Deadline) => Effect.Effect<A, E, R>,
  outer?: Deadline
): Effect.Effect<A, E, R> =>
  outer === undefined
    ? Clock.clockWith((clock) => run(makeUnsafe(clock, time)))
    : Effect.suspend(() => run(makeNested(outer, time)))

const makeUnsafe = (clock: Clock.Clock, time: Duration.Input, outer?: Deadline): Deadline => {
  const ms = Duration.toMillis(Duration.fromInputUnsafe(time))
  return { clock, ms, leftMs: ms, suspensions: 0, outer }
}

/** An infinite time adds nothing to the outer deadline. */
const makeNested = (outer: Deadline, time: Duration.Input): Deadline =>
  Duration.isFinite(Duration.fromInputUnsafe(time)) ? makeUnsafe(outer.clock, time, outer) : outer

const tightestOf = (deadline: Deadline): Deadline => {
  const outer = deadline.outer === undefined ? undefined : tightestOf(deadline.outer)
  return outer !== undefined && outer.leftMs <= deadline.leftMs ? outer : deadline
}

/**
 * `Effect.callback` with a deadline; costs no fiber. On timeout, the finalizer that `register` returned runs,
 * and then `orElse` with the deadline's time in milliseconds.
 */
export const callback = <A, E, A2, E2, R2>(
  deadline: Deadline,
  register: (resume: (effect: Effect.Effect<A, E>) => void) => Effect.Effect<void> | void,
  orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R2> =>
  Effect.suspend(() => {
    const tightest = tightestOf(deadline)
    if (tightest.ms === Infinity) return Effect.callback(register)
    const watch = watchOf(deadline.clock)
    const now = nowMs(deadline.clock)
    const dueMs = now + tightest.leftMs
    return Effect.callback<A | A2, E | E2, R2>((resume) => {
      let finalizer: Effect.Effect<void> = Effect.void
      const onTimeout = () =>
        resume(
          Effect.andThen(
            finalizer,
            Effect.suspend(() => orElse(tightest.ms))
          )
        )
      const wait: Wait = { deadline, tightest, dueMs, onTimeout }
      watch.waits.add(wait)
      // In the same step: a fiber may yield between two effects, and a watcher without a wait ends.
      const sliceEndMs = Math.min(now + tightest.ms / slices, dueMs)
      if (watch.watcher === undefined || watch.sliceEndMs > sliceEndMs) {
        startWatcher(watch, deadline.clock, now, sliceEndMs)
      }
      finalizer =
        register((effect) => {
          endWait(watch, wait)
          resume(effect)
        }) ?? Effect.void
      return Effect.suspend(() => {
        endWait(watch, wait)
        return finalizer
      })
    })
  })

/**
 * Runs an effect with a deadline. On timeout, the effect is interrupted, and `orElse` runs with the deadline's
 * time in milliseconds. Costs one fiber, unless the deadline is infinite.
 */
export const by =
  <A2, E2, R2>(deadline: Deadline, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> =>
    tightestOf(deadline).ms === Infinity
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

/** {@link by} with a new deadline: `Effect.timeoutOrElse` that ignores suspensions. */
export const within =
  <A2, E2, R2>(time: Duration.Input, orElse: (afterMs: number) => Effect.Effect<A2, E2, R2>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A | A2, E | E2, R | R2> =>
    use(time, (deadline) => by(deadline, orElse)(effect))

/** Ends a wait, and charges it to its deadlines. */
const endWait = (watch: Watch, wait: Wait): void => {
  if (!watch.waits.has(wait)) return
  const now = nowMs(wait.deadline.clock)
  // after a suspension, a wait may end before the watcher runs
  skipSuspension(watch, now)
  const waitedMs = Math.max(0, wait.tightest.leftMs - (wait.dueMs - now))
  for (let each: Deadline | undefined = wait.deadline; each !== undefined; each = each.outer) {
    each.leftMs = Math.max(0, each.leftMs - waitedMs)
  }
  watch.waits.delete(wait)
  if (watch.waits.size > 0) return
  watch.watcher?.interruptUnsafe()
  watch.watcher = undefined
}

/** Starts the watcher, or restarts it with an earlier end of its slice. Detached: its first wait may end first. */
const startWatcher = (watch: Watch, clock: Clock.Clock, now: number, sliceEndMs: number): void => {
  watch.watcher?.interruptUnsafe()
  watch.sliceStartMs = now
  watch.sliceEndMs = sliceEndMs
  // yields first, because the wait that starts the watcher is not registered with its caller yet
  watch.watcher = Effect.runForkWith(Context.make(Clock.Clock, clock))(
    Effect.andThen(Effect.yieldNow, runWatcher(watch, clock))
  )
}

/** Runs until no effect waits. */
const runWatcher = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (watch.waits.size > 0) {
      return Effect.flatMap(sleepSlice(watch, clock), () => runWatcher(watch, clock))
    }
    watch.watcher = undefined
    return Effect.void
  })

/** Sleeps for one slice, and times out the waits that are due. */
const sleepSlice = (watch: Watch, clock: Clock.Clock): Effect.Effect<void> => {
  const startMs = nowMs(clock)
  let sliceMs = Infinity
  for (const { dueMs, tightest } of watch.waits) {
    sliceMs = Math.min(sliceMs, tightest.ms / slices, Math.max(0, dueMs - startMs))
  }
  watch.sliceStartMs = startMs
  watch.sliceEndMs = startMs + sliceMs
  return Effect.flatMap(Effect.sleep(sliceMs), () => {
    const now = nowMs(clock)
    skipSuspension(watch, now)
    // timers fire before sockets are read: one iteration of the event loop reads what arrived in time
    return Effect.map(Effect.yieldNow, () => {
      for (const wait of watch.waits) {
        if (wait.dueMs > now) continue
        endWait(watch, wait)
        wait.onTimeout()
      }
    })
  })
}

/**
 * Postpones all waits if the current slice contains a suspension. How long the process ran during the slice is
 * unknown, so the whole slice is not charged.
 */
const skipSuspension = (watch: Watch, now: number): void => {
  const sliceMs = watch.sliceEndMs - watch.sliceStartMs
  if (now - watch.sliceEndMs <= Math.max(sliceMs, minSuspensionMs)) return
  for (const wait of watch.waits) {
    if (wait.tightest.suspensions === slices) continue
    wait.tightest.suspensions++
    wait.dueMs += now - watch.sliceStartMs
  }
  watch.sliceStartMs = now
  watch.sliceEndMs = now
}
