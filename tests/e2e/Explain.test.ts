import { assert, describe, it } from "@effect/vitest"
import { CameraSourceError, Reason } from "@restream/core"
import { Effect } from "effect"
import { restream } from "../kit/Command.ts"

const reasons = [...Reason.Reason.members, ...CameraSourceError.fields.reason.members].map(
  ({ identifier }) => identifier
)

describe("restream explain", () => {
  it.live("lists every reason that the product prints", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream(["explain"])
      assert.strictEqual(code, 0)
      const listed = new Set(stdout.split("\n").map((line) => line.trim()))
      assert.deepStrictEqual(
        reasons.filter((reason) => !listed.has(reason)),
        []
      )
    })
  )

  it.live("prints the entry of docs/troubleshooting.md for a reason, wrapped in lines", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream(["explain", "refused"])
      assert.strictEqual(code, 0)
      assert.match(
        stdout,
        /^Refused\n\nWhat you see\. `connection refused by .*\n\nWhat it means\. The device .*\n\nWhat to do\. Correct /
      )
      assert.isTrue(stdout.split("\n").every((line) => line.length <= 100))
      const title = yield* restream(["explain", "a", "mass", "stop", "is", "held"])
      assert.match(title.stdout, /^A mass stop is held\n/)
    })
  )

  it.live.each([
    [{ LANG: "ru_RU.UTF-8" }, "Refused\n\nЧто видно. `connection refused by "],
    [{ LC_MESSAGES: "ru_RU.UTF-8", LANG: "en_US.UTF-8" }, "Refused\n\nЧто видно. "],
    [{ LC_ALL: "C.UTF-8", LANG: "ru_RU.UTF-8" }, "Refused\n\nWhat you see. "]
  ] as const)("prints the language of the locale: %#", ([env, start]) =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream(["explain", "refused"], env)
      assert.deepStrictEqual([code, stdout.slice(0, start.length)], [0, start])
    })
  )

  it.live("names linked pages as files of the documentation", () =>
    Effect.gen(function* () {
      for (const [env, file] of [
        [{}, "README.md"],
        [{ LANG: "ru" }, "docs/ru/README.md"]
      ] as const) {
        const { stdout } = yield* restream(["explain", "InvalidUrl"], env)
        assert.include(stdout.replaceAll("\n", " "), `(${file})`)
      }
    })
  )

  it.live("suggests the reason that is meant", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* restream(["explain", "Unautorized"])
      assert.deepStrictEqual(
        [code, stdout, stderr],
        [2, "", "unknown reason Unautorized; did you mean Unauthorized?\n"]
      )
    })
  )
})
