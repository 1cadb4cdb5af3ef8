/** Runs the demo and prints its progress: lines, a live screen, or JSON. */
import type { Settings } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { exitStatus, Failure } from "../process/Failure.ts"
import { draw, print, printMessage } from "../process/Output.ts"
import * as Demo from "./Demo.ts"
import * as Report from "./DemoReport.ts"
import { fit, makeScreen } from "./Screen.ts"

export interface RunDemoOptions {
  readonly settings: Settings
  /** The number of healthy cameras. */
  readonly cameras: number
  readonly duration: Duration.Duration
  /** Prints one JSON object per line. */
  readonly isJson: boolean
  /** Redraws one screen instead of printing lines. */
  readonly isLive: boolean
}

/** The daemon does not need these programs, so the normal installation does not contain them. */
const howToInstall =
  'demo: "npx @restream/demo" brings PostgreSQL and ffmpeg (about 200 MB), and runs the demo with them'

/** Runs the demo to its end. Fails with `Failure` when a healthy camera is not live at the end. */
export const runDemo = Effect.fnUntraced(
  function* ({ cameras, duration, isJson, isLive, settings }: RunDemoOptions) {
    const steps: Array<string> = []
    const demo = yield* Demo.make({
      cameras,
      duration,
      settings,
      onStep: (what) => {
        if (isJson) return print(Report.stepJson(what))
        steps.push(what)
        return isLive ? Effect.void : printMessage(`demo: ${what}`)
      }
    })
    yield* printMessage(
      `demo: ${cameras} healthy cameras and 4 others, ${demo.mediaServer.name} at rtsp://127.0.0.1:${demo.mediaServer.port}, for ${Duration.format(duration)}`
    )
    if (isJson) yield* print(Report.dashboardJson(demo.dashboard))
    else yield* printMessage(`demo: dashboard at ${demo.dashboard} while it runs`)
    if (demo.mediaServer.page !== undefined)
      yield* printMessage(`demo: watch at ${demo.mediaServer.page("cam1")}`)

    if (isJson) {
      yield* demo.status.changes.pipe(
        Stream.runForEach((change) => print(Report.changeJson(change))),
        Effect.forkScoped
      )
    }
    const { received } = demo.mediaServer
    const screen = makeScreen()
    const redraw = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const table = Report.statusTable(yield* demo.status.all, yield* received, now).split("\n")
      const below = ["", ...steps.map((step) => `• ${step}`)]
      const { columns = 120, rows = Number.POSITIVE_INFINITY } = process.stderr
      yield* draw(screen(fit(table, below, { columns, rows })))
    })
    yield* isLive
      ? Effect.raceFirst(
          demo.scenario,
          redraw.pipe(Effect.andThen(Effect.sleep("300 millis")), Effect.forever)
        ).pipe(Effect.andThen(redraw))
      : demo.scenario

    const statuses = yield* demo.status.all
    const summary = Report.summarize(statuses, yield* received, demo.isHealthy)
    if (isJson) yield* print(JSON.stringify(summary))
    else {
      const now = yield* Clock.currentTimeMillis
      if (!isLive) yield* print(Report.statusTable(statuses, yield* received, now))
      const live = summary.cameras.filter(
        ({ healthy, state }) => healthy && state === "live"
      ).length
      yield* printMessage(
        `\ndemo: ${live} of ${cameras} healthy cameras are live: ${summary.ok ? "ok" : "FAILED"}`
      )
    }
    if (!summary.ok) return yield* new Failure({ status: exitStatus.problems, lines: [] })
  },
  Effect.catchTag(
    [
      "EmbeddedPostgresError",
      "RtspServerError",
      "MediaServerError",
      "SqlError",
      "PlatformError",
      "SettingsError"
    ],
    (error) =>
      Effect.fail(
        new Failure({
          status: exitStatus.problems,
          lines: [
            `demo: ${error.message}`,
            ...("isNotInstalled" in error && error.isNotInstalled === true ? [howToInstall] : [])
          ]
        })
      )
  )
)
