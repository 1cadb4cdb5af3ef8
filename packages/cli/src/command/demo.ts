/** `restream demo`: shows the relaying of cameras without any installed service. */
import { load, SettingType } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Logs from "../log/Logs.ts"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { readerLeft } from "../process/Output.ts"
import { otherVariables } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { canRedraw } from "../text/Terminal.ts"
import { restream } from "./restream.ts"

const flags = {
  cameras: Flag.Int("cameras").pipe(
    Flag.withDescription("Number of simulated healthy cameras, in addition to faulty ones"),
    Flag.withMetavar("N"),
    Flag.withDefault(3)
  ),
  duration: Flag.String("duration").pipe(
    Flag.withDescription("Duration of the demo, such as 20s or 5 minutes"),
    Flag.withMetavar("DURATION"),
    Flag.withDefault("30s")
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print one JSON object per line; the last object is the summary"),
    Flag.withDefault(false)
  )
}

export const demo = Command.make(
  "demo",
  flags,
  Effect.fnUntraced(function* (input) {
    if (input.cameras < 1 || input.cameras > 500) {
      return yield* usageFailure([`--cameras: ${input.cameras} is out of range (1 to 500)`])
    }
    const duration = yield* readDuration(input.duration)
    const { config, flags: settingFlags } = settingFlagsOf(yield* restream)
    if (Option.isSome(config)) {
      return yield* usageFailure([
        "--config: the demo does not read a settings file; use flags or the environment"
      ])
    }
    // the demo has its own database and media server, and must not use those of the environment
    const { PG_DSN: _dsn, MEDIA_SERVER_HOST: _host, MEDIA_SERVER_PORT: _port, ...env } = process.env
    const { settings } = yield* failOnSettings(
      Effect.fromResult(load({ flags: settingFlags, env, otherVariables }))
    )
    const isLive = canRedraw(process.stderr) && !input.json
    // the test kit is loaded by this command only
    const { runDemo } = yield* Effect.promise(() => import("../demo/RunDemo.ts"))
    yield* runDemo({ settings, cameras: input.cameras, duration, isJson: input.json, isLive }).pipe(
      Effect.scoped,
      Effect.provide(
        Logs.layer(isLive ? { ...settings.log, level: "error" } : settings.log, process.stderr)
      ),
      Effect.raceFirst(readerLeft)
    )
  })
).pipe(
  Command.withDescription(
    "Relays simulated cameras with an embedded PostgreSQL, a media server and the real supervisor; nothing else is required"
  ),
  Command.withShortDescription("Relays simulated cameras; nothing else is required")
)

const readDuration = (text: string) =>
  Effect.mapError(Effect.fromResult(SettingType.duration().parse(text)), (message) =>
    usageFailure([`--duration: ${message}`])
  )
