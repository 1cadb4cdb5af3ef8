/** The help of all commands, as the manual page has it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { invocation, restream } from "../kit/Command.ts"
import { run } from "../kit/Spawn.ts"

const hasGroff = spawnSync("groff", ["--version"]).status === 0

/** The sections of the commands, by their words. */
const commandsOf = (page: string): ReadonlyMap<string, string> =>
  new Map(
    page
      .replaceAll("\\-", "-")
      .split(/^\.SS /m)
      .slice(1)
      .map((section) => [
        section.slice(0, section.indexOf("\n")),
        section.split(/^\.SH /m, 1).join()
      ])
  )

describe("restream man", () => {
  it.live("has each command with examples, and PG_DSN where it is needed", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream(["man"])
      assert.strictEqual(code, 0)
      const commands = commandsOf(stdout)
      const help = yield* restream(["--help"])
      const listed = [...help.stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) => name!)
      assert.include(listed, "check")
      for (const name of listed) assert.isTrue(commands.has(`restream ${name}`), name)
      for (const [command, section] of commands) {
        assert.match(section, /^Examples:\n/m, command)
        // each example uses flags that exist
        const examples = section.slice(section.indexOf("Examples:"))
        for (const [, flag] of examples.matchAll(/ (--[a-z-]+)/g)) {
          assert.include(stdout.replaceAll("\\-", "-"), flag!, command)
        }
      }
      assert.include(commands.get("restream run"), "PG_DSN (postgres://")
    })
  )

  it.live("puts a blank line before each heading, and all examples below theirs", () =>
    Effect.gen(function* () {
      for (const args of [["--help"], ["check", "--help"], ["db", "--help"]]) {
        const { stdout } = yield* restream(args)
        assert.notMatch(stdout, /[^\n]\n[A-Z]+( [A-Z]+)*\n/)
        const [, examples = ""] = stdout.split("\nEXAMPLES\n")
        assert.include(examples, "  # ")
        // no example stands below another heading
        const [, ...others] = examples.split(/\n(?=[A-Z])/)
        assert.notInclude(others.join("\n"), "\n  # ")
      }
    })
  )

  it.live.skipIf(!hasGroff)("is a page that groff formats without a warning", () =>
    Effect.gen(function* () {
      const { command, environment } = invocation(["man"])
      const shell = `'${process.execPath}' ${command.map((word) => `'${word}'`).join(" ")} | groff -man -Tutf8 -ww -z`
      const { code, stderr } = yield* run("sh", ["-c", shell], { env: environment })
      assert.deepStrictEqual([code, stderr], [0, ""])
    })
  )
})
