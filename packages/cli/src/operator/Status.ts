/** Implements `restream status`. Loaded by this command only, because it contains an HTTP client. */
import type { Settings } from "@restream/config"
import {
  type CameraSummary,
  type Event,
  Measured,
  type Overview,
  streamsOf
} from "@restream/core/http"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Screen from "../demo/Screen.ts"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { draw, print, printFollowed, readerLeft } from "../process/Output.ts"
import { canRedraw, hasColor } from "../text/Terminal.ts"
import { connect, type Daemon, failOnDaemon, transport, workersOf } from "./DaemonClient.ts"
import { isWell, type Report, statusLines } from "./StatusReport.ts"

export interface StatusOptions {
  readonly all: boolean
  readonly json: boolean
  readonly watch: boolean
}

const columns = (): number | undefined =>
  process.stdout.isTTY === true ? process.stdout.columns : undefined

const reportOf = ({ client }: Daemon) =>
  Effect.all({
    overview: client.status.overview({ query: {} }),
    cameras: Effect.map(client.cameras.list({ query: { limit: 10_000 } }), ({ cameras }) => cameras)
  })

/** For a daemon that is suspended. */
const reportTimeout = "10 seconds"

export const show = Effect.fnUntraced(function* (settings: Settings, options: StatusOptions) {
  const { all, json, watch } = options
  if (watch) return yield* Effect.raceFirst(follow(settings, options), readerLeft)
  const daemon = yield* connect(settings)
  const report = yield* failOnDaemon(daemon.baseUrl)(
    Effect.timeout(reportOf(daemon), reportTimeout)
  )
  yield* print(
    json
      ? JSON.stringify(report, undefined, 2)
      : statusLines(report, { all, width: columns(), hasColor: hasColor(process.stdout) }).join(
          "\n"
        )
  )
  if (!isWell(report)) return yield* new Failure({ status: exitStatus.problems, lines: [] })
}, Effect.provide(transport))

/** The delay before connecting to another worker after the followed worker has ended. */
const reconnectInterval = "1 second"

/** Follows the events of the daemon, or of one worker after another, until no worker responds. */
const follow = Effect.fnUntraced(function* (settings: Settings, { all, json }: StatusOptions) {
  const show = makeShow(all)
  const view = makeView()
  const followOne = Effect.fnUntraced(function* ({ client }: Daemon) {
    const events = yield* client.status.events({ headers: {}, query: {} })
    yield* Stream.runForEach(events, (event) => {
      const isNews = view.apply(event)
      if (json) return printFollowed(JSON.stringify({ event: event.event, data: event.data }))
      const report = view.report()
      return isNews && report !== undefined ? show(report) : Effect.void
    })
  })
  let daemon = yield* connect(settings)
  for (;;) {
    const { baseUrl } = daemon
    const end = yield* Effect.result(failOnDaemon(baseUrl)(followOne(daemon)))
    // the flag --workers is not among these settings
    const workers = view.report()?.overview.workers ?? workersOf(settings)
    if (workers.length === 0) {
      yield* Effect.fromResult(end)
      return yield* usageFailure([`the daemon at ${baseUrl} has stopped`])
    }
    yield* Effect.sleep(reconnectInterval)
    daemon = yield* Effect.mapError(connect(settings, workers), () =>
      usageFailure([`the daemon at ${baseUrl} has stopped`])
    )
  }
})

/** Prints successive reports: redraws a terminal; for other outputs prints a report only if it has changed. */
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
    // for other outputs only a change of states counts, not the passing of time
    const news = JSON.stringify([
      report.overview.nodes?.map(({ name, problem, state }) => [name, state, problem]),
      report.cameras.flatMap(streamsOf).map(({ id, word }) => [id, word])
    ])
    if (news === printed) return Effect.void
    printed = news
    // writing the empty line detects that the reader has closed the pipe
    return Effect.andThen(printFollowed(lines.join("\n")), print(""))
  }
}

/** The report of one daemon, updated by its events. */
const makeView = () => {
  const cameras = new Map<string, CameraSummary>()
  let overview: Overview | undefined
  const measure = (measure: Measured.Measure) => {
    for (const [id, camera] of cameras) cameras.set(id, Measured.measured(camera, measure))
  }
  return {
    report: (): Report | undefined => overview && { overview, cameras: [...cameras.values()] },
    /** Applies an event; returns `true` if the report may have changed. */
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
          measure(Measured.withRates(event.data))
          return true
        case "readers":
          measure(Measured.withReaders(event.data))
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
