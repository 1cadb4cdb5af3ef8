/** `restream demo`: the main job with nothing installed. */
import { load, type Settings } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Demo from "../demo/Demo.ts"
import * as Report from "../demo/DemoReport.ts"
import { fit, makeScreen } from "../demo/Screen.ts"
import * as Logs from "../log/Logs.ts"
import { exitStatus, Failure, failOnSettings, unusable } from "../process/Failure.ts"
import { draw, print, tell } from "../process/Output.ts"
import { otherVariables } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { canRedraw } from "../text/Terminal.ts"
import { restream } from "./restream.ts"

const flags = {
  cameras: Flag.Int("cameras").pipe(
    Flag.withDescription("How many healthy cameras are simulated, besides those with a fault"),
    Flag.withMetavar("N"),
    Flag.withDefault(3)
  ),
  duration: Flag.String("duration").pipe(
    Flag.withDescription("How long it runs, such as 20s or 5 minutes"),
    Flag.withMetavar("DURATION"),
    Flag.withDefault("30s")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print one JSON object a line; the last one is the summary"),
    Flag.withDefault(false)
  )
}

export const demo = Command.make(
  "demo",
  flags,
  Effect.fnUntraced(function* (input) {
    if (input.cameras < 1 || input.cameras > 500) {
      return yield* unusable(["--cameras: expected a whole number from 1 to 500"])
    }
    const duration = yield* readDuration(input.duration)
    const given = settingFlagsOf(yield* restream)
    if (Option.isSome(given.config)) {
      return yield* unusable([
        "--config: the demo reads no settings file; flags and the environment hold for it"
      ])
    }
    // the demo brings its own database and media server: those of the environment are not touched
    const { PG_DSN: _dsn, MEDIA_SERVER_HOST: _host, MEDIA_SERVER_PORT: _port, ...env } = process.env
    const { settings } = yield* failOnSettings(
      Effect.fromResult(load({ flags: given.flags, env, otherVariables }))
    )
    const isLive = canRedraw(process.stderr) && !input.json
    yield* demonstrate(settings, input.cameras, duration, input.json, isLive).pipe(
      Effect.scoped,
      Effect.provide(
        Logs.layer(isLive ? { ...settings.log, level: "error" } : settings.log, process.stderr)
      )
    )
  })
).pipe(
  Command.withDescription(
    "Shows the main job with nothing installed: PostgreSQL, simulated cameras, a media server and the real supervisor"
  ),
  Command.withShortDescription("Shows the main job with nothing installed")
)

/** A duration in the words of the settings. */
const readDuration = (text: string) =>
  Effect.fromResult(load({ flags: { "relay-restart-delay": text } })).pipe(
    Effect.map(({ settings }) => settings.relay.restartDelay),
    Effect.mapError(() => unusable([`--duration: expected a duration such as 20s, not ${text}`]))
  )

const demonstrate = Effect.fnUntraced(
  function* (
    settings: Settings,
    cameras: number,
    duration: Duration.Duration,
    isJson: boolean,
    isLive: boolean
  ) {
    const steps: Array<string> = []
    const demo = yield* Demo.make({
      cameras,
      duration,
      settings,
      tell: (what) => {
        if (isJson) return print(Report.stepJson(what))
        steps.push(what)
        return isLive ? Effect.void : tell(`demo: ${what}`)
      }
    })
    yield* tell(
      `demo: ${cameras} healthy cameras and 4 others, ${demo.mediaServer.name} at rtsp://127.0.0.1:${demo.mediaServer.port}, for ${Duration.format(duration)}`
    )
    if (demo.mediaServer.page !== undefined)
      yield* tell(`demo: watch ${demo.mediaServer.page("cam1")}`)

    if (isJson) {
      yield* demo.status.changes.pipe(
        Stream.runForEach((change) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => print(Report.changeJson(change, now)))
        ),
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
          demo.story,
          redraw.pipe(Effect.andThen(Effect.sleep("300 millis")), Effect.forever)
        ).pipe(Effect.andThen(redraw))
      : demo.story

    const statuses = yield* demo.status.all
    const summary = Report.summarize(statuses, yield* received, demo.isHealthy)
    if (isJson) yield* print(JSON.stringify(summary))
    else {
      const now = yield* Clock.currentTimeMillis
      if (!isLive) yield* print(Report.statusTable(statuses, yield* received, now))
      const live = summary.cameras.filter(
        ({ healthy, state }) => healthy && state === "live"
      ).length
      yield* tell(
        `\ndemo: ${live} of ${cameras} healthy cameras are live: ${summary.ok ? "ok" : "FAILED"}`
      )
    }
    if (!summary.ok) return yield* new Failure({ status: exitStatus.someNot, lines: [] })
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
    ({ message }) =>
      Effect.fail(new Failure({ status: exitStatus.someNot, lines: [`demo: ${message}`] }))
  )
)
