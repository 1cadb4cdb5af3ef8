/** `restream run`: the daemon. */
import { bracketed, mediaServersOf, type Settings } from "@restream/config"
import { CameraSource, Cluster, Coalescing, Restream } from "@restream/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as CameraListing from "../source/CameraListing.ts"
import * as Logs from "../log/Logs.ts"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { mainOptions, requestShutdown } from "../process/Main.ts"
import { cameraListOf, loadSettings } from "../settings/LoadSettings.ts"
import { reload, withFile } from "../settings/Reload.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import * as Systemd from "../systemd/Systemd.ts"
import { version } from "../version.ts"
import * as Parent from "../workers/Parent.ts"
import * as WorkerSettings from "../workers/WorkerSettings.ts"
import { restream } from "./restream.ts"

export const run = Command.make(
  "run",
  {
    cluster: Flag.Boolean("cluster").pipe(
      Flag.withDescription("Share the cameras with the other nodes, as with cluster.enabled"),
      Flag.withDefault(false)
    ),
    workers: Flag.String("workers").pipe(
      Flag.withDescription(
        "With --cluster, the number of processes that relay on this machine, or auto for the number of available cores; as cluster.workers"
      ),
      Flag.withMetavar("N"),
      Flag.optional
    ),
    // set by the parent of the workers
    worker: Flag.Int("worker").pipe(Flag.optional, Flag.withHidden)
  },
  Effect.fnUntraced(
    function* ({ cluster: isNode, worker, workers }) {
      const given = settingFlagsOf(yield* restream)
      const flags = {
        ...given,
        flags: {
          ...given.flags,
          ...(isNode && { "cluster-enabled": "yes" }),
          ...(Option.isSome(workers) && { "cluster-workers": workers.value })
        }
      }
      const resolved = yield* loadSettings(flags, {
        cameras: true,
        daemon: true,
        templates: true,
        plugins: true
      })
      const list = yield* cameraListOf(resolved.settings)
      const hangups = yield* Queue.sliding<void>(1)
      const onHangup = () => Queue.offerUnsafe(hangups, undefined)
      mainOptions.isDaemon = true
      if (resolved.settings.cluster.enabled) {
        mainOptions.shutdownTimeoutMs += Duration.toMillis(Cluster.drainTimeout)
      }
      mainOptions.onHangup = onHangup
      const number = Option.getOrUndefined(worker)
      const parent =
        number === undefined
          ? undefined
          : Parent.connect({ onReload: onHangup, onStop: requestShutdown })
      if (number !== undefined && parent === undefined) {
        return yield* usageFailure(["--worker is set by restream run --workers only"])
      }
      const workerCount = WorkerSettings.countOf(resolved.settings)
      if (number === undefined && workerCount > 1) {
        const { supervise } = yield* Effect.promise(() => import("../workers/Supervise.ts"))
        return yield* supervise({ count: workerCount, flags, hangups, list, resolved })
      }
      const adapt = (settings: Settings) =>
        number === undefined ? settings : WorkerSettings.settingsOf(settings, number)
      const settings = adapt(resolved.settings)
      const live = yield* SubscriptionRef.make(settings)
      let reloadFlags = withFile(flags, resolved)

      const logs = yield* Logs.make(settings.log, Logs.daemonStream)
      const sessions = new AbortController()
      const tree = CameraListing.statusTable(list, settings, sessions.signal).pipe(
        Layer.provideMerge(Restream.layer(live, resolved.types)),
        // the relays have ended by then
        Layer.provideMerge(Layer.effectDiscard(breakLater(sessions))),
        Layer.provideMerge(CameraListing.layer(list, live, resolved.types, sessions.signal)),
        Layer.merge(Coalescing.layer(settings.relay.coalescing))
      )

      const daemon = Effect.gen(function* () {
        const servers = mediaServersOf(settings).map(
          ({ name, settings: { host, port, scheme } }) => {
            const address = `${scheme}://${bracketed(host)}:${port}`
            return name === undefined ? address : `${name} ${address}`
          }
        )
        yield* logDaemon(
          `restream ${version} started: ${CameraListing.describe(list)}, media server${servers.length === 1 ? "" : "s"} ${servers.join(", ")}`
        )
        for (const warning of [
          resolved.warning ?? [],
          CameraListing.warnings(list, settings)
        ].flat()) {
          yield* Effect.annotateLogs(Effect.logWarning(warning), "module", "daemon")
        }
        yield* Effect.addFinalizer(() => logDaemon("restream stopped"))
        const systemd =
          parent === undefined
            ? yield* Systemd.fromEnvironment(process.env, process.pid)
            : Systemd.make(parent.reporter)
        const services = yield* Layer.build(tree)
        const cluster = Option.getOrUndefined(Context.getOption(services, Cluster.Cluster))
        if (cluster !== undefined) {
          if (parent !== undefined) {
            yield* Effect.forkScoped(Effect.map(cluster.hasJoined, parent.joined))
          }
          // the workers of the next parent have the same names, and must not wait for a drain
          yield* Effect.addFinalizer(() =>
            parent?.isGone() === true ? Effect.void : cluster.drain
          )
        }
        yield* Effect.provideContext(systemd.follow, services)
        if (settings.http.enabled) {
          const server = yield* Effect.promise(() => import("../http/HttpServer.ts"))
          yield* Effect.provideContext(
            server.start(
              live,
              number === undefined ? undefined : WorkerSettings.workersOf(resolved.settings)
            ),
            services
          )
        }

        // a reload may set the first webhook
        yield* SubscriptionRef.changes(live).pipe(
          Stream.filter(({ alerts }) => alerts.webhooks.length > 0),
          Stream.take(1),
          Stream.runForEach(
            Effect.fnUntraced(function* () {
              const sender = yield* Effect.promise(() => import("../alerts/AlertSender.ts"))
              yield* Effect.provideContext(sender.start(live), services)
            })
          ),
          Effect.forkScoped
        )

        const applySettings = Effect.fnUntraced(function* (changed: Settings) {
          yield* logs.change(changed.log)
          yield* SubscriptionRef.set(live, changed)
          // with the old interval, the next poll may be late
          yield* Effect.forkChild(Effect.ignore(Context.get(services, CameraSource).refresh))
        })
        const serveHangups = Queue.take(hangups).pipe(
          Effect.tap(logs.reopenIfMoved),
          Effect.andThen(
            Effect.suspend(() =>
              systemd.aroundReload(
                reload(reloadFlags, SubscriptionRef.getUnsafe(live), applySettings, adapt)
              )
            )
          ),
          Effect.map((next) => {
            reloadFlags = next
          }),
          Effect.forever
        )
        if (cluster === undefined) return yield* serveHangups
        return yield* Effect.raceFirst(serveHangups, cluster.failed).pipe(
          Effect.catchTag("ClusterError", ({ message }) =>
            Effect.fail(usageFailure([`cluster: ${message}`]))
          )
        )
      })
      const telemetry =
        settings.otlp.url === undefined
          ? Layer.empty
          : (yield* Effect.promise(() => import("../metrics/Otlp.ts"))).layer(settings.otlp)
      return yield* Effect.scoped(daemon).pipe(
        Effect.annotateLogs(
          settings.cluster.enabled ? { node: Restream.nodeNameOf(settings) } : {}
        ),
        Effect.provide(Layer.provideMerge(telemetry, logs.layer))
      )
    },
    Effect.scoped,
    failOnSettings
  )
).pipe(
  Command.withDescription(
    "Runs the daemon until SIGTERM or SIGINT. The cameras come from the database of PG_DSN (postgres://user:password@host:5432/database, also --pg-dsn or database.dsn), or from the file of source.file. Exit status: 0 after SIGTERM or SIGINT, 1 internal error, 2 invalid settings"
  ),
  Command.withShortDescription("Runs the daemon until SIGTERM or SIGINT")
)

/** How long the sessions of the database may take to end. The driver waits 5 s for a server that hangs. */
const sessionsTimeoutMs = 500

/** Breaks the sessions that have not ended in time after the end of the scope. */
const breakLater = (sessions: AbortController) =>
  Effect.addFinalizer(() =>
    Effect.sync(() => {
      setTimeout(() => sessions.abort(), sessionsTimeoutMs).unref()
    })
  )

const logDaemon = (line: string) => Effect.annotateLogs(Effect.logInfo(line), "module", "daemon")
