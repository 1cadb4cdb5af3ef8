/** The root of the command line. Its flags are the settings', and hold for every command. */
import * as Command from "effect/cli/Command"
import { settingFlagConfig } from "../settings/SettingFlags.ts"

export const restream = Command.make("restream").pipe(
  Command.withSharedFlags(settingFlagConfig),
  Command.withDescription("Republishes the IP cameras of a PostgreSQL table to a media server")
)
