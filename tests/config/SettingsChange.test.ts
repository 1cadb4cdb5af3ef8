import { defaultSettings, settings, settingsChange } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Equal } from "effect"
import { companions, defaultOf, fileWith, loaded, samples, valueOf } from "./Samples.ts"

describe("settings change", () => {
  it("is empty if nothing differs", () => {
    const same = loaded({ file: { name: "f", text: "" } }).settings
    assert.deepStrictEqual(settingsChange(defaultSettings, same), {
      settings: defaultSettings,
      applied: [],
      needRestart: []
    })
  })

  it.each(settings.map((setting) => [setting.key, setting.appliedBy, setting] as const))(
    "%s is applied by a %s, and nothing else changes",
    (key, appliedBy, setting) => {
      const env = companions[key] ?? {}
      const before = loaded({ env }).settings
      for (const sample of samples(setting)) {
        const wanted = loaded({ env, file: { name: "f", text: fileWith(setting, sample) } })
        if (Equal.equals(valueOf(wanted, setting), defaultOf(setting))) continue
        const change = settingsChange(before, wanted.settings)
        const isApplied = appliedBy === "reload"
        assert.deepStrictEqual(change.applied, isApplied ? [key] : [])
        assert.deepStrictEqual(change.needRestart, isApplied ? [] : [key])
        const inForce = isApplied ? wanted.settings : before
        assert.isTrue(Equal.equals(change.settings, inForce), `${key} after the change`)
      }
    }
  )
})
