/** The root command. Its flags are the settings; all subcommands accept them. */
import * as Command from "effect/cli/Command"
import { settingFlagConfig } from "../settings/SettingFlags.ts"

export const restream = Command.make("restream").pipe(
  Command.withSharedFlags(settingFlagConfig),
  Command.withDescription("Publishes the IP cameras of a PostgreSQL table to a media server")
)
