/**
 * Notifies systemd of the daemon's state: `Type=notify`, `WatchdogSec=`, `STATUS=` (sd_notify(3)).
 *
 * Does nothing without a notify socket in the environment. A worker has no systemd: its reports go to its parent,
 * which combines them (`workers/Workers.ts`).
 */
import { CameraSource, Ownership, sourceName, StatusStore, Supervisor } from "@restream/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Notifier from "./Notifier.ts"
import { type StatusView, statusLine } from "./StatusLine.ts"

/** Receives the reports of this process: systemd, or the parent of a worker. */
export interface Reporter {
  readonly ready: () => void
  readonly status: (view: StatusView) => void
  /** Reports that the supervisor's loop has responded. */
  readonly heartbeat: () => void
  /** Completes when a heartbeat is due; `undefined` if no heartbeats are expected. */
  readonly awaitHeartbeat: Effect.Effect<void> | undefined
  readonly reloading: () => void
  /** The reload has ended. */
  readonly reloaded: () => void
  readonly stopping: () => void
}

export interface Systemd {
  /** Sends readiness, status and watchdog pings until the scope closes; then sends STOPPING=1. */
  readonly follow: Effect.Effect<void, never, CameraSource | Scope.Scope | StatusStore | Supervisor>
  /** Notifies systemd of the start and the end of a reload. */
  readonly aroundReload: <A, E, R>(reload: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/** Removes a variable of systemd from the environment, so that child processes do not use it. */
const take = (env: NodeJS.ProcessEnv, name: string): string | undefined => {
  const value = env[name]
  // oxlint-disable-next-line no-dynamic-delete -- an environment has no other way
  delete env[name]
  return value === "" ? undefined : value
}

/** Between updates of the status line, which is sent only if it has changed. */
const statusInterval = Duration.seconds(2)

/** Connects to systemd if it supervises this process; `undefined` where it does not. */
export const reporterOf = Effect.fnUntraced(function* (
  env: NodeJS.ProcessEnv,
  pid: number
): Effect.fn.Return<Reporter | undefined, never, Scope.Scope> {
  const socket = take(env, "NOTIFY_SOCKET")
  const watchdogMicros = Number(take(env, "WATCHDOG_USEC") ?? 0)
  const watchdogPid = take(env, "WATCHDOG_PID")
  if (socket === undefined) return undefined

  const log = Effect.runForkWith(yield* Effect.context())
  const { send } = yield* Notifier.make(socket, (problem) =>
    log(annotated(Effect.logWarning(`systemd: sd_notify failed: ${problem}`)))
  )

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
  let sent: string | undefined
  return {
    ready: () => send({ READY: "1" }),
    status: (view) => {
      const line = statusLine(view)
      if (line !== sent) send({ STATUS: line })
      sent = line
    },
    heartbeat: () => send({ WATCHDOG: "1" }),
    awaitHeartbeat: isWatched
      ? Effect.sleep(Duration.micros(BigInt(Math.floor(watchdogMicros / 2))))
      : undefined,
    // on Linux hrtime is CLOCK_MONOTONIC, by which systemd distinguishes reloads
    reloading: () =>
      send({ RELOADING: "1", MONOTONIC_USEC: String(process.hrtime.bigint() / 1000n) }),
    reloaded: () => send({ READY: "1" }),
    stopping: () => send({ STOPPING: "1", STATUS: "stopping the relays" })
  }
})

/** Reports the state of the daemon; does nothing without a reporter. */
export const make = (reporter: Reporter | undefined): Systemd => {
  if (reporter === undefined) return { follow: Effect.void, aroundReload: (reload) => reload }
  let isReady = false

  const follow = Effect.gen(function* () {
    const store = yield* StatusStore
    const source = yield* CameraSource
    const supervisor = yield* Supervisor
    const ownership = yield* Ownership

    const sendStatus = Effect.gen(function* () {
      const health = yield* source.health
      reporter.status({
        tally: yield* store.countByState,
        isReady,
        sourceProblem:
          health._tag === "Down"
            ? `${sourceName(health.error)}: ${health.error.message}`
            : ownership.membership?.().problem?.message,
        isJoining: ownership.membership?.().hasJoined === false,
        activeDaemon: yield* ownership.activeDaemon
      })
    })

    yield* Effect.addFinalizer(() => Effect.sync(reporter.stopping))
    yield* supervisor.ready.pipe(
      Effect.andThen(ownership.ready ?? Effect.void),
      Effect.tap(
        Effect.sync(() => {
          isReady = true
          reporter.ready()
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
    if (reporter.awaitHeartbeat !== undefined) {
      // a ping requires a response from the supervisor's loop, so a blocked loop stops the pings
      yield* supervisor.heartbeat.pipe(
        Effect.andThen(Effect.sync(reporter.heartbeat)),
        Effect.andThen(reporter.awaitHeartbeat),
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
        reporter.reloading()
        return Effect.ensuring(reload, Effect.sync(reporter.reloaded))
      })
  }
}

/** Connects to systemd if it supervises this process. */
export const fromEnvironment = (
  env: NodeJS.ProcessEnv,
  pid: number
): Effect.Effect<Systemd, never, Scope.Scope> => Effect.map(reporterOf(env, pid), make)

const annotated = Effect.annotateLogs("module", "daemon")
