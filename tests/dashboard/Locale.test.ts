/** The page of the dashboard in browsers whose language is no language tag. No daemon: the page says that it connects. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { launch, missing } from "../kit/Browser.ts"
import { by } from "./Visit.ts"

const files = join(import.meta.dirname, "../../packages/cli/dist/dashboard")

describe.skipIf(missing !== undefined)(missing ?? "the dashboard in Chromium", () => {
  it.effect("shows its page where Intl refuses the language of the browser", () =>
    Effect.gen(function* () {
      const browser = yield* Effect.acquireRelease(
        by(() => launch("C.UTF-8")),
        (browser) => by(() => browser.close())
      )
      // the browser ends with its last page
      yield* by(() => browser.newPage())
      const visit = Effect.fnUntraced(function* (script = "") {
        const page = yield* by(() => browser.newPage())
        const complaints: Array<string> = []
        page.on("pageerror", (error) => complaints.push(error.message))
        yield* by(async () => {
          await page.addInitScript(script)
          await page.route("**/*", (route) => {
            const path = join(files, new URL(route.request().url()).pathname)
            return existsSync(path) ? route.fulfill({ path }) : route.abort()
          })
          await page.goto("http://dashboard.test/index.html")
          await page.getByRole("link", { name: /Overview|Обзор/ }).waitFor()
        })
        assert.deepStrictEqual(complaints, [])
        return yield* by(() => page.evaluate<string>("navigator.language"))
      })
      const says = (language: string, languages: string) =>
        `Object.defineProperties(Navigator.prototype, {
          language: { get: () => ${language} }, languages: { get: () => ${languages} } })`

      assert.strictEqual(yield* visit(), "en-US")
      assert.strictEqual(yield* visit(says('"ru_RU.UTF-8"', "[]")), "ru-RU")
      assert.strictEqual(yield* visit(says('""', '["", "de"]')), "de")
      assert.strictEqual(yield* visit(says("undefined", "undefined")), "en")
      assert.strictEqual(yield* visit(says('"*"', "[]")), "en")
    })
  )
})
