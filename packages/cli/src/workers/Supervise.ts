/** `restream run --workers`: the process that starts the workers. */
import type { CameraList } from "@restream/config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Logs from "../log/Logs.ts"
import { usageFailure } from "../process/Failure.ts"
import { mainOptions } from "../process/Main.ts"
import { loadSettings, type ResolvedSettings } from "../settings/LoadSettings.ts"
import { withFile } from "../settings/Reload.ts"
import type { SettingFlags } from "../settings/SettingFlags.ts"
import * as Systemd from "../systemd/Systemd.ts"
import { version } from "../version.ts"
import * as Workers from "./Workers.ts"
import * as WorkerSettings from "./WorkerSettings.ts"

export interface SuperviseOptions {
  readonly count: number
  readonly flags: SettingFlags
  readonly hangups: Queue.Dequeue<void>
  readonly list: CameraList
  readonly resolved: ResolvedSettings
}

const logDaemon = (line: string) => Effect.annotateLogs(Effect.logInfo(line), "module", "daemon")

/** Runs the workers until interrupted. In the log and in systemd, they appear as one daemon. */
export const supervise = Effect.fnUntraced(function* ({
  count,
  flags,
  hangups,
  list,
  resolved
}: SuperviseOptions) {
  const { settings } = resolved
  if (list._tag === "File") {
    return yield* usageFailure([
      "cluster.workers: the cameras are listed in a file (source.file), and only those of a database can be shared among workers"
    ])
  }
  const lastPort = WorkerSettings.portOf(settings, count)
  if (settings.http.enabled && lastPort > 65_535) {
    return yield* usageFailure([
      `http.port: worker ${count} would have port ${lastPort}, which is out of range (1 to 65535)`
    ])
  }
  // of a worker, with a margin for its process
  const stopTimeout = Duration.millis(mainOptions.shutdownTimeoutMs + 500)
  mainOptions.shutdownTimeoutMs += 1000
  const logs = yield* Logs.make(settings.log, Logs.daemonStream)
  const names = WorkerSettings.workersOf(settings).map(({ name }) => name)
  const workersOf = Effect.gen(function* () {
    yield* logDaemon(
      `restream ${version} started: ${count} workers, ${names[0]} to ${names.at(-1)}`
    )
    yield* Effect.addFinalizer(() => logDaemon("restream stopped"))
    const reporter = yield* Systemd.reporterOf(process.env, process.pid)
    const reloadLog = loadSettings(withFile(flags, resolved)).pipe(
      // the workers report invalid settings
      Effect.option,
      Effect.tap(
        Option.match({
          onNone: () => Effect.void,
          onSome: ({ settings }) => logs.change(settings.log)
        })
      )
    )
    const reloads = yield* Queue.sliding<void>(1)
    yield* Queue.take(hangups).pipe(
      Effect.andThen(logs.reopenIfMoved),
      Effect.andThen(reloadLog),
      Effect.andThen(Queue.offer(reloads, undefined)),
      Effect.forever,
      Effect.forkScoped
    )
    return yield* Workers.run({ names, reporter, reloads, stopTimeout })
  })
  return yield* Effect.provide(Effect.scoped(workersOf), logs.layer)
})
