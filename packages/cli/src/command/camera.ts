/** `restream retry` and `restream restart`: commands to cameras of the running daemon. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { failOnSettings } from "../process/Failure.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { cameraId } from "./cameraId.ts"
import { restream } from "./restream.ts"

const make = (name: "retry" | "restart", description: string) =>
  Command.make(
    name,
    {
      ids: cameraId.pipe(Argument.withDescription("Ids of cameras"), Argument.variadic({ min: 1 }))
    },
    Effect.fnUntraced(function* ({ ids }) {
      const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
      const { send } = yield* Effect.promise(() => import("../operator/CameraCommand.ts"))
      return yield* send(settings, name, ids)
    })
  ).pipe(
    Command.withDescription(
      `${description}. Exit status: 0 done, 1 unknown or invalid camera, 2 no daemon, or no access to it`
    ),
    Command.withShortDescription(description)
  )

export const retry = make("retry", "Tries cameras of the running daemon now, without waiting")
export const restart = make("restart", "Restarts the relays of cameras; viewers lose the stream")
