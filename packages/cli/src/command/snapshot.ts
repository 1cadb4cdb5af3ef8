/** `restream snapshot`: the last picture of a camera of the running daemon, as a file. */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings } from "../process/Failure.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { cameraId } from "./cameraId.ts"
import { restream } from "./restream.ts"

export const snapshot = Command.make(
  "snapshot",
  {
    id: cameraId.pipe(Argument.withDescription("Id of the camera")),
    maxAge: Flag.Int("max-age").pipe(
      Flag.withDescription("Greatest age of the picture, in seconds (0 to 3600). Default: 10"),
      Flag.withDefault(10)
    )
  },
  Effect.fnUntraced(function* ({ id, maxAge }) {
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    const { write } = yield* Effect.promise(() => import("../operator/Snapshot.ts"))
    return yield* write(settings, id, maxAge)
  })
).pipe(
  Command.withDescription(
    "Writes the last keyframe of a camera to standard output: an MP4 file of one picture, in the camera's codec. Exit status: 0 written, 1 unknown camera or no picture of it, 2 standard output is a terminal, no daemon, or no access to it"
  ),
  Command.withShortDescription("Writes the last picture of a camera to standard output"),
  Command.withExamples([
    { command: "restream snapshot 7 > gate.mp4", description: "Write a file" },
    {
      command: "restream snapshot 7 | ffmpeg -i - gate.jpg",
      description: "Convert the picture to JPEG"
    }
  ])
)
