/**
 * Notifies systemd of the daemon's state: `Type=notify`, `WatchdogSec=`, `STATUS=` (sd_notify(3)).
 *
 * Does nothing without a notify socket in the environment.
 */
import {
  CameraState,
  CameraSource,
  Ownership,
  sourceName,
  StatusStore,
  Supervisor
} from "@restream/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Notifier from "./Notifier.ts"

export interface Systemd {
  /** Sends readiness, status and watchdog pings until the scope closes; then sends STOPPING=1. */
  readonly follow: Effect.Effect<void, never, CameraSource | Scope.Scope | StatusStore | Supervisor>
  /** Notifies systemd of the start and the end of a reload. */
  readonly aroundReload: <A, E, R>(reload: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Without systemd. */
const absent: Systemd = { follow: Effect.void, aroundReload: (reload) => reload }

/** Removes a variable of systemd from the environment, so that child processes do not use it. */
const take = (env: NodeJS.ProcessEnv, name: string): string | undefined => {
  const value = env[name]
  // oxlint-disable-next-line no-dynamic-delete -- an environment has no other way
  delete env[name]
  return value === "" ? undefined : value
}

/** Between updates of the status line, which is sent only if it has changed. */
const statusInterval = Duration.seconds(2)

/** Connects to systemd if it supervises this process. */
export const fromEnvironment = Effect.fnUntraced(function* (
  env: NodeJS.ProcessEnv,
  pid: number
): Effect.fn.Return<Systemd, never, Scope.Scope> {
  const socket = take(env, "NOTIFY_SOCKET")
  const watchdogMicros = Number(take(env, "WATCHDOG_USEC") ?? 0)
  const watchdogPid = take(env, "WATCHDOG_PID")
  if (socket === undefined) return absent

  const log = Effect.runForkWith(yield* Effect.context())
  const { send } = yield* Notifier.make(socket, (problem) =>
    log(annotated(Effect.logWarning(`systemd: sd_notify failed: ${problem}`)))
  )
  let isReady = false

  const hasWatchdog = watchdogMicros > 0
  // sd_watchdog_enabled(3): only this process may send pings
  const isWatched = hasWatchdog && (watchdogPid === undefined || Number(watchdogPid) === pid)
  if (hasWatchdog && !isWatched) {
    yield* annotated(
      Effect.logWarning(
        `systemd: the watchdog expects pings from process ${watchdogPid}, not from ${pid}; start restream without a wrapper program`
      )
    )
  }

  const follow = Effect.gen(function* () {
    const store = yield* StatusStore
    const source = yield* CameraSource
    const supervisor = yield* Supervisor
    const ownership = yield* Ownership

    const status = Effect.gen(function* () {
      const tally = yield* store.countByState
      const health = yield* source.health
      return statusLine(
        tally,
        isReady,
        health._tag === "Down" ? `${sourceName(health.error)}: ${health.error.message}` : undefined,
        yield* ownership.activeDaemon
      )
    })
    let sent: string | undefined
    const sendStatus = Effect.map(status, (line) => {
      if (line !== sent) send({ STATUS: line })
      sent = line
    })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => send({ STOPPING: "1", STATUS: "stopping the relays" }))
    )
    yield* supervisor.ready.pipe(
      Effect.tap(
        Effect.sync(() => {
          isReady = true
          send({ READY: "1" })
        })
      ),
      Effect.andThen(sendStatus),
      Effect.forkScoped
    )
    yield* sendStatus.pipe(
      Effect.andThen(Effect.sleep(statusInterval)),
      Effect.forever,
      Effect.forkScoped
    )
    if (isWatched) {
      // a ping requires a response from the supervisor's loop, so a blocked loop stops the pings
      yield* supervisor.heartbeat.pipe(
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
        // on Linux hrtime is CLOCK_MONOTONIC, which systemd uses to tell reloads apart
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

/** The status line of `systemctl status`: `50 cameras: 48 live, 2 unreachable`. */
export const statusLine = (
  tally: Readonly<Partial<Record<CameraState.Tag, number>>>,
  isReady: boolean,
  sourceProblem: string | undefined,
  activeDaemon?: string
): string => {
  const counts = CameraState.tags.flatMap((tag) =>
    tally[tag] === undefined ? [] : [[tag, tally[tag]] as const]
  )
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  const states = counts.map(([tag, count]) => `${count} ${tag.toLowerCase()}`).join(", ")
  const cameras =
    activeDaemon !== undefined
      ? `standby; the cameras are relayed by ${activeDaemon}`
      : isReady
        ? `${total} cameras${states === "" ? "" : `: ${states}`}`
        : "waiting for the first snapshot of the camera table"
  return sourceProblem === undefined ? cameras : `${cameras}; ${sourceProblem}`
}
