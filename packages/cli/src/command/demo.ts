/** `restream demo`: the main job with nothing installed. */
import { load } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Logs from "../log/Logs.ts"
import { failOnSettings, unusable } from "../process/Failure.ts"
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
    // the test kit is loaded by this command only
    const { runDemo } = yield* Effect.promise(() => import("../demo/RunDemo.ts"))
    yield* runDemo({ settings, cameras: input.cameras, duration, isJson: input.json, isLive }).pipe(
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
