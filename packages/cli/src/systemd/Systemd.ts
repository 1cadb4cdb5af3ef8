/**
 * What systemd is told of the daemon, and what it asks of it: `Type=notify`, `WatchdogSec=`, `STATUS=`.
 *
 * Without a notify socket in the environment there is nobody to tell, and nothing happens.
 */
import { type CameraState, CameraSource, StatusStore, Supervisor } from "@restream/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Notifier from "./Notifier.ts"

export interface Systemd {
  /** Tells of the tree in context, from now on until the scope ends; then tells that it is stopping. */
  readonly follow: Effect.Effect<void, never, CameraSource | Scope.Scope | StatusStore | Supervisor>
  /** Runs a reload such that systemd knows when it begins and when it is done. */
  readonly aroundReload: <A, E, R>(reload: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Nobody to tell. */
const absent: Systemd = { follow: Effect.void, aroundReload: (reload) => reload }

/** What systemd put into the environment; taken out of it, so that no child believes it is meant. */
const take = (env: NodeJS.ProcessEnv, name: string): string | undefined => {
  const value = env[name]
  // oxlint-disable-next-line no-dynamic-delete -- an environment has no other way
  delete env[name]
  return value === "" ? undefined : value
}

/** How often the status line is looked at. It is sent only when it has changed. */
const statusInterval = Duration.seconds(2)

/** Finds out whether systemd waits for news of this process, and opens the way to it. */
export const fromEnvironment = Effect.fnUntraced(function* (
  env: NodeJS.ProcessEnv,
  pid: number
): Effect.fn.Return<Systemd, never, Scope.Scope> {
  const socket = take(env, "NOTIFY_SOCKET")
  const watchdogMicros = Number(take(env, "WATCHDOG_USEC") ?? 0)
  const watchdogPid = take(env, "WATCHDOG_PID")
  if (socket === undefined) return absent

  const say = Effect.runForkWith(yield* Effect.context())
  const { send } = yield* Notifier.make(socket, (problem) =>
    say(annotated(Effect.logWarning(`systemd: it can't be told anything: ${problem}`)))
  )
  let isReady = false

  const hasWatchdog = watchdogMicros > 0
  // sd_watchdog_enabled(3): pings are wanted of that very process
  const isWatched = hasWatchdog && (watchdogPid === undefined || Number(watchdogPid) === pid)
  if (hasWatchdog && !isWatched) {
    yield* annotated(
      Effect.logWarning(
        `systemd: it watches process ${watchdogPid}, and this is ${pid}; start restream itself, without a program around it`
      )
    )
  }

  const follow = Effect.gen(function* () {
    const store = yield* StatusStore
    const source = yield* CameraSource
    const supervisor = yield* Supervisor

    const status = Effect.gen(function* () {
      const tally = yield* store.countByState
      const health = yield* source.health
      return statusLine(tally, isReady, health._tag === "Down" ? health.error.message : undefined)
    })
    let said: string | undefined
    const sayStatus = Effect.map(status, (line) => {
      if (line !== said) send({ STATUS: line })
      said = line
    })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => send({ STOPPING: "1", STATUS: "ending the relays" }))
    )
    yield* supervisor.ready.pipe(
      Effect.tap(
        Effect.sync(() => {
          isReady = true
          send({ READY: "1" })
        })
      ),
      Effect.andThen(sayStatus),
      Effect.forkScoped
    )
    yield* sayStatus.pipe(
      Effect.andThen(Effect.sleep(statusInterval)),
      Effect.forever,
      Effect.forkScoped
    )
    if (isWatched) {
      // A ping is sent when the supervisor's own loop has answered: whatever stops that loop, or the event
      // loop below it, stops the pings.
      yield* supervisor.pulse.pipe(
        Effect.andThen(Effect.sync(() => send({ WATCHDOG: "1" }))),
        Effect.andThen(Effect.sleep(Duration.micros(BigInt(Math.floor(watchdogMicros / 2))))),
        Effect.forever,
        Effect.forkScoped
      )
    }
  })

  return {
    follow,
    aroundReload: (reload) =>
      Effect.suspend(() => {
        if (!isReady) return reload
        // Linux: hrtime is CLOCK_MONOTONIC, by which systemd tells this reload from one before
        const now = process.hrtime.bigint() / 1000n
        send({ RELOADING: "1", MONOTONIC_USEC: String(now) })
        return Effect.ensuring(
          reload,
          Effect.sync(() => send({ READY: "1" }))
        )
      })
  }
})

const annotated = Effect.annotateLogs("module", "daemon")

const order: ReadonlyArray<CameraState.Tag> = [
  "Live",
  "Starting",
  "Probing",
  "Waiting",
  "Restarting",
  "Unreachable",
  "Invalid",
  "Stopping"
]

/** What `systemctl status` shows: `50 cameras: 48 live, 2 unreachable`. Pure. */
export const statusLine = (
  tally: Readonly<Partial<Record<CameraState.Tag, number>>>,
  isReady: boolean,
  sourceProblem: string | undefined
): string => {
  const counts = order.flatMap((tag) =>
    tally[tag] === undefined ? [] : [[tag, tally[tag]] as const]
  )
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  const states = counts.map(([tag, count]) => `${count} ${tag.toLowerCase()}`).join(", ")
  const cameras = isReady
    ? `${total} cameras${states === "" ? "" : `: ${states}`}`
    : "waiting for the first look at the cameras"
  return sourceProblem === undefined ? cameras : `${cameras}; database: ${sourceProblem}`
}
