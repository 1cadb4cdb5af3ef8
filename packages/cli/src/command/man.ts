/** `restream man`: prints the manual page. */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { commandTree } from "../process/CommandTree.ts"
import { manPage } from "../process/ManPage.ts"
import { print } from "../process/Output.ts"

export const man = Command.make(
  "man",
  {},
  Effect.fnUntraced(function* () {
    const { root } = commandTree
    if (root !== undefined) yield* print((yield* manPage(root)).trimEnd())
  })
).pipe(Command.withDescription("Prints the manual page, for man -l or as restream.1"))
