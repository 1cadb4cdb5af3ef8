/** Loads the modules named in the settings; they bring camera types. */
import { type Settings, SettingsError } from "@restream/config"
import { CameraType, UrlTemplate } from "@restream/core"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import { createRequire } from "node:module"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const fault = (key: string, origin: string, expectation: string) =>
  new SettingsError({ faults: [{ key, origin, expectation }] })

/**
 * The camera types of all modules. A module exports them as `cameraTypes` or as its default: one or many,
 * each with a `name` and a `toUrl`. Paths and packages are found from the working folder.
 */
export const loadPlugins = Effect.fnUntraced(function* (settings: Settings) {
  const types: Array<CameraType.CameraType> = []
  for (const name of settings.plugins) {
    const module = yield* Effect.tryPromise({
      try: (): Promise<Record<string, unknown>> => import(located(name)),
      catch: (error) => {
        const code = Predicate.hasProperty(error, "code")
          ? String(error.code)
          : "it throws an error"
        return fault("plugins", name, `can't be loaded: ${code}`)
      }
    })
    const exported = module["cameraTypes"] ?? module["default"]
    const candidates = Array.isArray(exported) ? exported : [exported]
    for (const candidate of candidates) {
      if (!isCameraType(candidate)) {
        return yield* fault(
          "plugins",
          name,
          "expected it to export cameraTypes: objects with a name and a function toUrl"
        )
      }
      types.push(CameraType.of(candidate))
    }
  }
  return types
})

const located = (name: string): string =>
  /^\.{0,2}\//.test(name)
    ? pathToFileURL(resolve(name)).href
    : pathToFileURL(createRequire(join(process.cwd(), "package.json")).resolve(name)).href

const isCameraType = (value: unknown): value is Parameters<typeof CameraType.of>[0] =>
  Predicate.hasProperty(value, "name") &&
  Predicate.isString(value.name) &&
  Predicate.hasProperty(value, "toUrl") &&
  Predicate.isFunction(value.toUrl)

/** Says what is wrong with the settings' templates, all at once. */
export const checkTemplates = (settings: Settings): Effect.Effect<void, SettingsError> => {
  const faults = Object.entries(settings.cameraTypes).flatMap(([name, template]) => {
    const wrong = UrlTemplate.fault(template)
    return wrong === undefined
      ? []
      : [{ key: `cameraTypes.${name}`, origin: "the settings' file", expectation: wrong }]
  })
  return faults.length === 0 ? Effect.void : Effect.fail(new SettingsError({ faults }))
}
