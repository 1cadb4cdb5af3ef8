/** `restream status`: shows the state of the cameras of the running daemon. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { cameraId } from "./cameraId.ts"
import { restream } from "./restream.ts"

const flag = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

export const status = Command.make(
  "status",
  {
    all: flag("all", "List all cameras, not only those that are not live"),
    json: flag("json", "Print a JSON document; with --watch, one object per event"),
    watch: flag("watch", "Show changes until interrupted"),
    ids: cameraId.pipe(
      Argument.withDescription("Ids of cameras to show with everything that is known of them"),
      Argument.variadic()
    )
  },
  Effect.fnUntraced(function* ({ ids, ...options }) {
    if (ids.length > 0 && (options.all || options.watch)) {
      return yield* usageFailure(["ids of cameras go neither with --all nor with --watch"])
    }
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    if (ids.length > 0) {
      const cameras = yield* Effect.promise(() => import("../operator/CameraStatus.ts"))
      return yield* cameras.show(settings, ids, options.json)
    }
    const { show } = yield* Effect.promise(() => import("../operator/Status.ts"))
    return yield* show(settings, options)
  })
).pipe(
  Command.withDescription(
    "Shows how the cameras of the running daemon do: what is wrong, since when, and what to do. Exit status: 0 all cameras live, 1 some cameras not live or unknown, 2 no daemon, or no access to it"
  ),
  Command.withShortDescription("Shows how the cameras of the running daemon do")
)
