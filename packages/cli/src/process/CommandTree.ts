/** The commands of this process, for a command that describes all of them. */
import type * as Command from "effect/cli/Command"

/** The main module sets the root command. */
export const commandTree: { root: Command.Command.Any | undefined } = { root: undefined }
