import { assert, describe, it } from "@effect/vitest"
import * as Logs from "@restream/cli/log"
import { defaultSettings } from "@restream/config"
import { Effect, Fiber } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-logs-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A stream that keeps what it is given. */
const stream = (isTTY: boolean) => {
  const text: Array<string> = []
  const fake = { isTTY, write: (some: string) => text.push(some), listenerCount: () => 1 }
  return { text, stream: fake as unknown as NodeJS.WriteStream }
}

const numbersIn = (text: string): ReadonlyArray<number> =>
  [...text.matchAll(/line (\d+)/g)].map(([, number]) => Number(number))

describe("Logs", () => {
  for (const [what, next] of [
    ["another file", { file: "two.log" }],
    ["another format", { format: "json" }],
    ["another size", { fileMaxSize: 20_000_000 }]
  ] as const) {
    it.live(`loses no line while a log file is replaced by ${what}`, () =>
      Effect.gen(function* () {
        const path = yield* folder
        const at = (name: string) => join(path, name)
        const { stream: sink, text } = stream(false)
        const before: Logs.LogSettings = { ...defaultSettings.log, file: at("one.log") }
        const after: Logs.LogSettings = { ...before, ...next, file: at(next.file ?? "one.log") }
        let said = 0
        yield* Effect.scoped(
          Effect.gen(function* () {
            const logs = yield* Logs.make(before, () => sink)
            const say = Effect.suspend(() => Effect.logInfo(`line ${++said}`)).pipe(
              Effect.provide(logs.layer)
            )
            for (let round = 0; round < 6; round++) {
              yield* say
              const changing = yield* Effect.forkChild(
                logs.change(round % 2 === 0 ? after : before),
                { startImmediately: true }
              )
              // the old file is on its way to its end
              for (let times = 0; times < 5; times++) yield* Effect.andThen(say, Effect.yieldNow)
              yield* Fiber.join(changing)
            }
            yield* say
          })
        )
        const all = Array.from({ length: said }, (_, index) => index + 1)
        const files = [...new Set([before.file!, after.file!])]
        const written = files.flatMap((file) => numbersIn(readFileSync(file, "utf8")))
        assert.isAbove(said, 10)
        assert.deepStrictEqual(
          written.sort((a, b) => a - b),
          all
        )
        assert.deepStrictEqual(numbersIn(text.join("")), all)
        assert.notInclude(text.join(""), "log file")
      })
    )
  }

  for (const [environment, isTTY, isColored] of [
    [{}, true, true],
    [{ NO_COLOR: "" }, true, true],
    [{ NO_COLOR: "1" }, true, false],
    [{ TERM: "dumb" }, true, false],
    [{}, false, false]
  ] as const) {
    const where = `${JSON.stringify(environment)} ${isTTY ? "on" : "off"} a terminal`
    it.live(`is ${isColored ? "coloured" : "plain"} with ${where}`, () =>
      Effect.gen(function* () {
        const { NO_COLOR, TERM } = process.env
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            for (const [name, value] of Object.entries({ NO_COLOR, TERM })) {
              if (value === undefined) delete process.env[name]
              else process.env[name] = value
            }
          })
        )
        delete process.env["NO_COLOR"]
        Object.assign(process.env, { TERM: "xterm" }, environment)
        const { stream: sink, text } = stream(isTTY)
        const logs = yield* Logs.make({ ...defaultSettings.log, format: "pretty" }, () => sink)
        yield* Effect.provide(Effect.logWarning("words"), logs.layer)
        assert.strictEqual(text.join("").includes("\u001b["), isColored)
        assert.include(text.join(""), "words")
      })
    )
  }

  it.live("drops lines that nobody reads, beyond a limit, and logs how many", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      let goOn: (() => void) | undefined
      const unread = new Writable({
        write: (chunk, _, done) => {
          lines.push(String(chunk))
          goOn = done
        }
      })
      const { layer } = yield* Logs.make(
        defaultSettings.log,
        () => unread as unknown as NodeJS.WriteStream
      )
      const say = (text: string) => Effect.provide(Effect.logInfo(text), layer)
      const long = "x".repeat(1000)
      yield* Effect.forEach(Array.from({ length: 5000 }), () => say(long), { discard: true })
      assert.isBelow(unread.writableLength, 1.1 * 2 ** 20)
      while (unread.writableLength > 0) {
        goOn?.()
        yield* Effect.yieldNow
      }
      yield* say("last")
      while (unread.writableLength > 0) {
        goOn?.()
        yield* Effect.yieldNow
      }
      const written = lines.filter((line) => line.includes(long)).length
      const [notice, last] = lines.slice(-2)
      assert.include(notice, `${5000 - written} log lines dropped: their reader did not keep up`)
      assert.include(last, "last")
    })
  )
})
