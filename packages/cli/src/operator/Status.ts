/** What `restream status` does. Loaded by this command only, because it contains an HTTP client. */
import type { Settings } from "@restream/config"
import type { CameraSummary, Event, Overview, Substream } from "@restream/core/http"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Screen from "../demo/Screen.ts"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { draw, print } from "../process/Output.ts"
import { canRedraw, hasColor } from "../text/Terminal.ts"
import { connect, failOnDaemon, transport } from "./DaemonClient.ts"
import { isWell, type Report, statusLines, streamsOf } from "./StatusReport.ts"

export interface StatusOptions {
  readonly all: boolean
  readonly json: boolean
  readonly watch: boolean
}

const columns = (): number | undefined =>
  process.stdout.isTTY === true ? process.stdout.columns : undefined

export const show = Effect.fnUntraced(function* (
  settings: Settings,
  { all, json, watch }: StatusOptions
) {
  const { baseUrl, client } = yield* connect(settings)
  const failOn = failOnDaemon(baseUrl)
  if (watch) {
    const events = yield* failOn(client.status.events({ headers: {} }))
    yield* failOn(json ? printEvents(events) : watchEvents(events, all))
    return yield* usageFailure([`the daemon at ${baseUrl} has stopped`])
  }
  const report: Report = yield* failOn(
    Effect.all({
      overview: client.status.overview(),
      cameras: Effect.map(
        client.cameras.list({ query: { limit: 10_000 } }),
        ({ cameras }) => cameras
      )
    })
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

const printEvents = <E>(events: Stream.Stream<Event, E>) =>
  Stream.runForEach(events, ({ data, event }) => print(JSON.stringify({ event, data })))

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

/** Follows the events; redraws a terminal, and prints the report after each change elsewhere. */
const watchEvents = <E>(events: Stream.Stream<Event, E>, all: boolean) => {
  const cameras = new Map<string, CameraSummary>()
  let overview: Overview | undefined
  const screen = Screen.makeScreen()
  const isDrawn = canRedraw(process.stdout)
  let printed = ""
  const show = Effect.suspend(() => {
    if (overview === undefined) return Effect.void
    const report: Report = { overview, cameras: [...cameras.values()] }
    const lines = statusLines(report, { all, width: columns(), hasColor: hasColor(process.stdout) })
    if (isDrawn) {
      const size = { rows: process.stdout.rows, columns: process.stdout.columns }
      return draw(screen(Screen.fit(lines, [], size)))
    }
    // elsewhere a change of the words is news, and not that time passes
    const news = JSON.stringify([
      report.cameras.flatMap(streamsOf).map(({ id, word }) => [id, word])
    ])
    if (news === printed) return Effect.void
    printed = news
    return print(`${lines.join("\n")}\n`)
  })
  return Stream.runForEach(events, (event) => {
    switch (event.event) {
      case "snapshot":
        cameras.clear()
        for (const camera of event.data.cameras) cameras.set(camera.id, camera)
        return Effect.void
      case "cameras": {
        const { data } = event
        for (const camera of data.cameras) cameras.set(camera.id, camera)
        for (const id of data.removed) cameras.delete(id)
        if (overview !== undefined) {
          overview = { ...overview, tally: data.tally, revision: data.revision }
        }
        return show
      }
      case "rates":
        for (const [id, camera] of cameras) {
          cameras.set(
            id,
            measured(camera, ({ id }) => ({ bitrate: event.data[id] ?? 0 }))
          )
        }
        return show
      case "readers":
        for (const [id, camera] of cameras) {
          cameras.set(
            id,
            measured(camera, (stream) => ({ mediaServer: serverWordOf(stream, event.data) }))
          )
        }
        return show
      case "beat":
        overview = event.data
        return show
      case "bye":
        return Effect.void
    }
  })
}
