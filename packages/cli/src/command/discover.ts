/** `restream discover`: lists the ONVIF cameras of the local networks. */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { failOnSettings } from "../process/Failure.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

export const discover = Command.make(
  "discover",
  {
    format: Flag.Literals("format", ["table", "insert", "yaml", "csv", "json"]).pipe(
      Flag.withDescription("What to print. Default: table"),
      Flag.withDefault("table" as const)
    ),
    seconds: Flag.Int("seconds").pipe(
      Flag.withDescription("How long responses are awaited (1 to 60). Default: 3"),
      Flag.withDefault(3)
    ),
    address: Flag.String("address").pipe(
      Flag.withDescription(
        "Ask this address instead of the local networks, for a network without multicast; may be repeated"
      ),
      Flag.withMetavar("HOST[:PORT]"),
      Flag.atLeast(0)
    )
  },
  Effect.fnUntraced(function* (flags) {
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    const { run } = yield* Effect.promise(() => import("../discover/Discover.ts"))
    return yield* run(settings, flags)
  })
).pipe(
  Command.withDescription(
    "Asks all local networks for ONVIF cameras (WS-Discovery, IPv4), and prints those that respond: as a table, or as rows for the database or the camera file, without user names and passwords. Changes nothing. Exit status: 0, 1 no camera responded, 2 invalid settings or no network"
  ),
  Command.withShortDescription("Finds the ONVIF cameras of the local networks"),
  Command.withExamples([
    { command: "restream discover", description: "List what responds" },
    {
      command: "restream discover --format yaml > cameras.yaml",
      description: "Begin a camera file"
    },
    {
      command: "restream discover --format insert",
      description: "Print INSERT statements for the table"
    }
  ])
)
