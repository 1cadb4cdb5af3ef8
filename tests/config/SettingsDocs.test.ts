import { settings, settingsExample, settingsMarkdown } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Equal } from "effect"
import { readFileSync } from "node:fs"
import { loaded, settingOf, valueOf } from "./Samples.ts"

const stored = (path: string) => {
  try {
    return readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")
  } catch {
    return ""
  }
}

describe("settings documents", () => {
  it.each([
    ["docs/settings.md", settingsMarkdown],
    ["restream.example.yaml", settingsExample]
  ])("%s is up to date", (path, render) => {
    assert.isTrue(stored(path) === render(), `${path} is out of date: run npm run docs`)
  })

  it("the example sets nothing, and the defaults without its comment marks", () => {
    const example = settingsExample()
    const all = example.replaceAll(/^( *)#(\w+:)/gm, "$1$2")
    const defaults = loaded({}).settings
    assert.isTrue(Equal.equals(loaded({ file: { name: "f", text: example } }).settings, defaults))
    const from = loaded({ file: { name: "f", text: all } })
    assert.isTrue(Equal.equals(from.settings, defaults))
    for (const setting of settings) {
      const { _tag } = from.origins.get(setting.key) ?? { _tag: "missing" }
      assert.strictEqual(_tag, setting.default === undefined ? "Default" : "File", setting.key)
    }
  })

  it("show a default as restream config does", () => {
    for (const { default: value, key, type } of settings) {
      if (typeof value !== "string") continue
      assert.strictEqual(type.display(valueOf(loaded({}), settingOf(key))), value, key)
    }
  })

  it("contain every key, variable and flag", () => {
    for (const { env, flags, key, path } of settings) {
      const names = [...(env === undefined ? [] : [env]), ...flags.map((flag) => `--${flag}`)]
      for (const name of names) {
        assert.include(settingsMarkdown(), `\`${name}\``)
        assert.include(settingsExample(), name)
      }
      assert.include(settingsMarkdown(), `| \`${key}\` `)
      assert.match(settingsExample(), new RegExp(`^ *#${path.at(-1)}:`, "m"))
    }
  })

  it("the example has no line longer than 100 characters", () => {
    for (const line of settingsExample().split("\n")) {
      if (!line.startsWith("# Example:")) assert.isAtMost(line.length, 100)
    }
  })
})
