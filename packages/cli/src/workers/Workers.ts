/**
 * `restream run --workers`: starts the workers of this machine and keeps them running. Relays nothing itself.
 *
 * Each worker is a process of the same command and a node of the cluster. A worker that crashes or hangs is restarted
 * with backoff, and its cameras are meanwhile relayed by the other nodes.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { exitStatus, Failure } from "../process/Failure.ts"
import type { StatusView, Tally } from "../systemd/StatusLine.ts"
import type { Reporter } from "../systemd/Systemd.ts"
import type { Report } from "./Parent.ts"
import * as WorkerProcess from "./WorkerProcess.ts"

export interface WorkersOptions {
  /** By number, from worker 1 on. */
  readonly names: ReadonlyArray<string>
  /** Receives the combined reports of all workers. */
  readonly reporter: Reporter | undefined
  /** Each item makes the workers reload their settings. */
  readonly reloads: Queue.Dequeue<void>
  /** How long a worker may take to end in order. */
  readonly stopTimeout: Duration.Duration
}

/** The delays before restarts in a row; the last one repeats. */
const restartDelays = [1, 2, 4, 8, 16, 30].map((seconds) => Duration.seconds(seconds))
/** A worker that ran for this time is restarted after the first delay. */
const stableMs = 60_000

/** The interval of pings without a systemd watchdog. */
const pingInterval = Duration.seconds(15)
/** A worker counts as hanging after this many unanswered pings in a row. */
const maxUnanswered = 2

const reloadTimeout = Duration.seconds(10)

interface Worker {
  readonly number: number
  readonly name: string
  process: WorkerProcess.WorkerProcess | undefined
  hasJoined: boolean
  wasReady: boolean
  view: StatusView | undefined
  /** Pings since the last answer; counted from the first answer on. */
  unanswered: number | undefined
  isReloading: boolean
}

const logAs = Effect.annotateLogs("module", "daemon")

/**
 * Runs the workers until interrupted. Fails if a worker ends because of invalid settings before it has joined the
 * cluster; after that, only this worker is restarted.
 */
export const run = Effect.fnUntraced(function* ({
  names,
  reloads,
  reporter,
  stopTimeout
}: WorkersOptions): Effect.fn.Return<never, Failure, Scope.Scope> {
  const workers = names.map((name, index): Worker => ({
    number: index + 1,
    name,
    process: undefined,
    hasJoined: false,
    wasReady: false,
    view: undefined,
    unanswered: undefined,
    isReloading: false
  }))
  let isReady = false
  const reloaded = yield* Queue.sliding<void>(1)
  const sendStatus = () => reporter?.status(statusOf(workers, isReady))

  const onReport = (worker: Worker) => (report: Report) => {
    switch (report._tag) {
      case "Joined":
        worker.hasJoined = true
        return
      case "Ready":
        worker.wasReady = true
        if (!isReady && workers.every(({ wasReady }) => wasReady)) {
          isReady = true
          reporter?.ready()
        }
        break
      case "Status":
        worker.view = report.view
        break
      case "Heartbeat":
        worker.unanswered = 0
        return
      case "Reloaded":
        worker.isReloading = false
        Queue.offerUnsafe(reloaded, undefined)
        return
    }
    sendStatus()
  }

  const runOnce = (worker: Worker) =>
    Effect.scoped(
      Effect.gen(function* () {
        const process = yield* WorkerProcess.start(worker.number, stopTimeout, onReport(worker))
        worker.process = process
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            worker.process = undefined
            worker.view = undefined
            worker.unanswered = undefined
            worker.isReloading = false
            Queue.offerUnsafe(reloaded, undefined)
            sendStatus()
          })
        )
        return yield* process.exit
      })
    )

  const supervise = Effect.fnUntraced(function* (worker: Worker): Effect.fn.Return<never, Failure> {
    let failures = 0
    for (;;) {
      const startedMs = performance.now()
      const { code, signal } = yield* runOnce(worker)
      const how =
        signal !== null
          ? `was ended by ${signal}`
          : code === null
            ? "cannot be started"
            : `ended with status ${code}`
      if (code === exitStatus.usage && !worker.hasJoined) {
        yield* logAs(Effect.logError(`worker ${worker.name} ${how}; stopping all workers`))
        return yield* new Failure({ status: exitStatus.usage, lines: [] })
      }
      if (performance.now() - startedMs >= stableMs) failures = 0
      const delay = restartDelays[Math.min(failures++, restartDelays.length - 1)]!
      yield* logAs(
        Effect.logError(
          `worker ${worker.name} ${how}; restarting in ${Duration.format(delay)}; the other nodes take over its cameras`
        )
      )
      yield* Effect.sleep(delay)
    }
  })

  const pingWorkers = Effect.gen(function* () {
    reporter?.heartbeat()
    for (const worker of workers) {
      const { name, process, unanswered } = worker
      if (unanswered === maxUnanswered) {
        yield* logAs(Effect.logError(`worker ${name} does not respond; killing it`))
        yield* process?.kill ?? Effect.void
      } else {
        // a worker that is starting answers later
        if (unanswered !== undefined) worker.unanswered = unanswered + 1
        process?.send("ping")
      }
    }
    yield* reporter?.awaitHeartbeat ?? Effect.sleep(pingInterval)
  }).pipe(Effect.forever)

  const reload = Effect.gen(function* () {
    yield* Queue.take(reloads)
    if (isReady) reporter?.reloading()
    for (const worker of workers) {
      worker.isReloading = worker.view?.isReady === true
      worker.process?.send("reload")
    }
    yield* Effect.timeoutOption(
      Effect.repeat(Queue.take(reloaded), {
        until: () => workers.every(({ isReloading }) => !isReloading)
      }),
      reloadTimeout
    )
    if (isReady) reporter?.reloaded()
  }).pipe(Effect.forever)

  yield* Effect.forkScoped(pingWorkers)
  yield* Effect.forkScoped(reload)
  // reported when the shutdown begins, because the workers take time to stop
  const stopping = Effect.onInterrupt(Effect.never, () => Effect.sync(() => reporter?.stopping()))
  return yield* Effect.raceAllFirst([stopping, ...workers.map(supervise)])
})

/** All workers as one daemon. */
const statusOf = (workers: ReadonlyArray<Worker>, isReady: boolean): StatusView => {
  const tally: Record<string, number> = {}
  const views = workers.flatMap(({ view }) => view ?? [])
  for (const [tag, count] of views.flatMap((view) => Object.entries(view.tally))) {
    tally[tag] = (tally[tag] ?? 0) + count
  }
  const missing = workers.length - views.length
  const problems = [
    views.find(({ sourceProblem }) => sourceProblem !== undefined)?.sourceProblem ?? [],
    missing === 0 ? [] : `${missing} of ${workers.length} workers not running`
  ].flat()
  return {
    tally: tally as Tally,
    isReady,
    sourceProblem: problems.length === 0 ? undefined : problems.join("; "),
    isJoining: views.some(({ isJoining }) => isJoining === true),
    activeDaemon: views.find(({ activeDaemon }) => activeDaemon !== undefined)?.activeDaemon
  }
}
