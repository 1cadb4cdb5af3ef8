/** What `restream status` does. Loaded by this command only, because it contains an HTTP client. */
import type { Settings } from "@restream/config"
import {
  type CameraSummary,
  type Event,
  type Overview,
  streamsOf,
  type Substream
} from "@restream/core/http"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Screen from "../demo/Screen.ts"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { draw, print, printFollowed, readerLeft } from "../process/Output.ts"
import { canRedraw, hasColor } from "../text/Terminal.ts"
import {
  connectAll,
  type Daemon,
  failOnDaemon,
  identify,
  identifyWorker,
  notResponding,
  transport,
  workerProblem,
  workerTimeout
} from "./DaemonClient.ts"
import { isWell, merge, type Report, statusLines } from "./StatusReport.ts"

export interface StatusOptions {
  readonly all: boolean
  readonly json: boolean
  readonly watch: boolean
}

const columns = (): number | undefined =>
  process.stdout.isTTY === true ? process.stdout.columns : undefined

const reportOf = (daemon: Daemon) =>
  Effect.all({
    overview: Effect.tap(daemon.client.status.overview({ query: {} }), ({ node }) =>
      identify(daemon, node)
    ),
    cameras: Effect.map(
      daemon.client.cameras.list({ query: { limit: 10_000 } }),
      ({ cameras }) => cameras
    )
  })

/** What the daemon says, or all its workers together. Fails if none of them responds. */
const askAll = Effect.fnUntraced(function* (daemons: ReadonlyArray<Daemon>) {
  const [first] = daemons
  if (daemons.length === 1) {
    const report: Report = yield* failOnDaemon(first!.baseUrl)(reportOf(first!))
    return report
  }
  const answers = yield* Effect.forEach(
    daemons,
    (daemon) => Effect.result(Effect.timeout(reportOf(daemon), workerTimeout)),
    { concurrency: "unbounded" }
  )
  const reports = answers.flatMap((answer, index) =>
    Result.isSuccess(answer) ? [[daemons[index]!.name!, answer.success] as const] : []
  )
  const problems = new Map(
    answers.flatMap((answer, index) => {
      const daemon = daemons[index]!
      return Result.isFailure(answer)
        ? [[daemon, workerProblem(answer.failure, daemon)] as const]
        : []
    })
  )
  if (reports.length === 0) {
    const foreign = [...problems].flatMap(([{ name }, problem]) =>
      problem === notResponding ? [] : [`worker ${name}: ${problem}`]
    )
    if (foreign.length > 0) return yield* usageFailure(foreign)
    return yield* failOnDaemon(first!.baseUrl)(Effect.fromResult(answers[0]!))
  }
  return merge(
    answersOf(daemons, (daemon) => problems.get(daemon)),
    reports
  )
})

const answersOf = (
  daemons: ReadonlyArray<Daemon>,
  problemOf: (daemon: Daemon) => string | undefined
) =>
  daemons.map((daemon) => ({
    name: daemon.name ?? "",
    url: daemon.baseUrl,
    problem: problemOf(daemon) ?? null
  }))

export const show = Effect.fnUntraced(function* (settings: Settings, options: StatusOptions) {
  const { all, json, watch } = options
  const daemons = yield* connectAll(settings)
  if (watch) return yield* Effect.raceFirst(follow(daemons, options), readerLeft)
  const report = yield* askAll(daemons)
  yield* print(
    json
      ? JSON.stringify(report, undefined, 2)
      : statusLines(report, { all, width: columns(), hasColor: hasColor(process.stdout) }).join(
          "\n"
        )
  )
  if (!isWell(report)) return yield* new Failure({ status: exitStatus.problems, lines: [] })
}, Effect.provide(transport))

/** The interval at which a worker that has ended is asked again. */
const reconnectInterval = "1 second"

/** Follows the events of the daemon, or of all its workers, until it or the last one of them has stopped. */
const follow = Effect.fnUntraced(function* (
  daemons: ReadonlyArray<Daemon>,
  { all, json }: StatusOptions
) {
  const { baseUrl } = daemons[0]!
  const stopped = usageFailure([`the daemon at ${baseUrl} has stopped`])
  const views = daemons.map(() => makeView())
  const connected = new Set<Daemon>()
  const problems = new Map<Daemon, string>()
  const show = makeShow(all)
  const showAll = Effect.suspend(() => {
    const reports = views.flatMap((view, index) => {
      const daemon = daemons[index]!
      const report = connected.has(daemon) ? view.report() : undefined
      return report === undefined ? [] : [[daemon.name ?? "", report] as const]
    })
    if (reports.length === 0) return Effect.void
    if (daemons.length === 1) return show(reports[0]![1])
    return show(
      merge(
        answersOf(daemons, (daemon) =>
          connected.has(daemon) ? undefined : (problems.get(daemon) ?? notResponding)
        ),
        reports
      )
    )
  })
  const followOne = (daemon: Daemon, index: number) =>
    Effect.gen(function* () {
      yield* identifyWorker(daemon)
      const events = yield* daemon.client.status.events({ headers: {}, query: {} })
      connected.add(daemon)
      yield* Stream.runForEach(events, (event) =>
        json
          ? printFollowed(
              JSON.stringify({
                ...(daemon.name !== undefined && { node: daemon.name }),
                event: event.event,
                data: event.data
              })
            )
          : views[index]!.apply(event)
            ? showAll
            : Effect.void
      )
    })
  if (daemons.length === 1) {
    yield* failOnDaemon(baseUrl)(followOne(daemons[0]!, 0))
    return yield* stopped
  }
  for (const daemon of daemons) {
    const known = yield* Effect.result(identifyWorker(daemon))
    if (Result.isSuccess(known)) connected.add(daemon)
    else problems.set(daemon, workerProblem(known.failure, daemon))
  }
  if (connected.size === 0) yield* askAll(daemons)
  return yield* Effect.forEach(
    daemons,
    (daemon, index) =>
      Effect.result(followOne(daemon, index)).pipe(
        Effect.map(
          Result.match({
            onSuccess: () => problems.delete(daemon),
            onFailure: (error) => problems.set(daemon, workerProblem(error, daemon))
          })
        ),
        Effect.andThen(Effect.sync(() => connected.delete(daemon))),
        Effect.andThen(Effect.suspend(() => (connected.size === 0 ? stopped : showAll))),
        Effect.andThen(Effect.sleep(reconnectInterval)),
        Effect.forever
      ),
    { concurrency: "unbounded", discard: true }
  )
})

/** What is measured of a stream. */
type Measured = Pick<Substream, "bitrate" | "mediaServer">

/** A camera with new measurements of each of its streams. */
const measured = (
  camera: CameraSummary,
  measure: (stream: CameraSummary | Substream) => Partial<Measured>
): CameraSummary => ({
  ...camera,
  ...measure(camera),
  ...(camera.substreams !== undefined && {
    substreams: camera.substreams.map((substream) => ({ ...substream, ...measure(substream) }))
  })
})

/** What the media server says about a stream, with the readers of an event. */
const serverWordOf = (
  { id, mediaServer }: CameraSummary | Substream,
  readers: Readonly<Record<string, number>> | null
): Measured["mediaServer"] =>
  readers === null
    ? null
    : {
        since: null,
        inboundBytes: 0,
        ...mediaServer,
        isOnline: id in readers,
        readers: readers[id] ?? 0
      }

/** Prints reports one after the other: redraws a terminal, and prints what has changed elsewhere. */
const makeShow = (all: boolean) => {
  const screen = Screen.makeScreen()
  const isDrawn = canRedraw(process.stdout)
  let printed = ""
  return (report: Report): Effect.Effect<void> => {
    const lines = statusLines(report, { all, width: columns(), hasColor: hasColor(process.stdout) })
    if (isDrawn) {
      const size = { rows: process.stdout.rows, columns: process.stdout.columns }
      return draw(screen(Screen.fit(lines, [], size)))
    }
    // elsewhere a change of the words is news, and not that time passes
    const news = JSON.stringify([
      report.workers,
      report.cameras.flatMap(streamsOf).map(({ id, word }) => [id, word])
    ])
    if (news === printed) return Effect.void
    printed = news
    // the empty line after the report meets the closed pipe of a reader that has left
    return Effect.andThen(printFollowed(lines.join("\n")), print(""))
  }
}

/** The report of one daemon, kept by its events. */
const makeView = () => {
  const cameras = new Map<string, CameraSummary>()
  let overview: Overview | undefined
  return {
    report: (): Report | undefined => overview && { overview, cameras: [...cameras.values()] },
    /** Takes an event; `true` if there may be something to show. */
    apply: (event: Event): boolean => {
      switch (event.event) {
        case "snapshot":
          cameras.clear()
          for (const camera of event.data.cameras) cameras.set(camera.id, camera)
          return false
        case "cameras": {
          const { data } = event
          for (const camera of data.cameras) cameras.set(camera.id, camera)
          for (const id of data.removed) cameras.delete(id)
          if (overview !== undefined) {
            overview = { ...overview, tally: data.tally, revision: data.revision }
          }
          return true
        }
        case "rates":
          for (const [id, camera] of cameras) {
            cameras.set(
              id,
              measured(camera, ({ id }) => ({ bitrate: event.data[id] ?? 0 }))
            )
          }
          return true
        case "readers":
          for (const [id, camera] of cameras) {
            cameras.set(
              id,
              measured(camera, (stream) => ({ mediaServer: serverWordOf(stream, event.data) }))
            )
          }
          return true
        case "beat":
          overview = event.data
          return true
        case "bye":
          return false
      }
    }
  }
}
