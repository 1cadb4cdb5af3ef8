/**
 * Loads the modules named in the settings; they bring camera types.
 *
 * A module exports them as `cameraTypes` or as its default: one or many, each with a `name` and a `toUrl`. Or
 * it exports a function that makes them, which is given all of `@restream/core`: a module that stands beside
 * the settings' file can't import that.
 */
import type { Attempt, SettingsFault } from "@restream/config"
import * as core from "@restream/core"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** The camera types of all modules, and what is wrong with any of them. */
export interface Plugins {
  readonly types: ReadonlyArray<core.CameraType.CameraType>
  readonly faults: ReadonlyArray<SettingsFault>
}

/**
 * Loads all modules. Paths start from the folder of the settings' file if they stand there, else from the
 * working folder. Packages are found from there, too, and then beside this program.
 */
export const loadPlugins = Effect.fnUntraced(function* (
  { loaded, placeOf }: Attempt,
  file: string | undefined
): Effect.fn.Return<Plugins> {
  const isFromFile = loaded.origins.get("plugins")?._tag === "File"
  const folder = isFromFile && file !== undefined ? dirname(resolve(file)) : process.cwd()
  const results = yield* Effect.forEach(loaded.settings.plugins, (name) =>
    Effect.map(Effect.result(loadPlugin(name, folder)), (result) => ({ name, result }))
  )
  const origin = placeOf(["plugins"])
  return {
    types: results.flatMap(({ result }) => (Result.isSuccess(result) ? result.success : [])),
    faults: results.flatMap(({ name, result }) =>
      Result.isFailure(result)
        ? [{ key: "plugins", origin, expectation: `${shown(name)} ${result.failure}` }]
        : []
    )
  }
})

const shown = (text: string): string => core.Redaction.oneLine(core.Redaction.redact(text))

/** The types of one module, or what is wrong with it, such that its name goes before the words. */
const loadPlugin = Effect.fnUntraced(function* (name: string, folder: string) {
  const path = located(name, folder)
  if (path === undefined) {
    return yield* Effect.fail(
      isPath(name)
        ? `can't be loaded: there is no such file as ${shown(resolve(folder, name))}`
        : `can't be loaded: there is no such package, neither for ${shown(folder)} nor beside restream`
    )
  }
  const exported = yield* Effect.tryPromise({
    try: async (): Promise<unknown> => {
      const module: Record<string, unknown> = await import(pathToFileURL(path).href)
      const types = module["cameraTypes"] ?? module["default"]
      return Predicate.isFunction(types) ? types(core) : types
    },
    catch: (error) => `can't be loaded: ${described(error, path)}`
  })
  const candidates: ReadonlyArray<unknown> = Array.isArray(exported) ? exported : [exported]
  return candidates.every(isCameraType)
    ? candidates.map(core.CameraType.of)
    : yield* Effect.fail(
        "should export cameraTypes: objects with a name and a function toUrl, or a function that makes them"
      )
})

const isPath = (name: string): boolean => /^\.{0,2}\//.test(name)

const located = (name: string, folder: string): string | undefined => {
  if (isPath(name)) {
    const path = resolve(folder, name)
    return existsSync(path) ? path : undefined
  }
  for (const base of [join(folder, "package.json"), import.meta.url]) {
    try {
      return createRequire(base).resolve(name)
    } catch {
      // not from there
    }
  }
  return undefined
}

const isCameraType = (value: unknown): value is Parameters<typeof core.CameraType.of>[0] =>
  Predicate.hasProperty(value, "name") &&
  Predicate.isString(value.name) &&
  Predicate.hasProperty(value, "toUrl") &&
  Predicate.isFunction(value.toUrl)

/** What a module threw: its kind, its words, and where. */
const described = (error: unknown, path: string): string => {
  if (!(error instanceof Error)) return `it throws ${shown(String(error)).slice(0, longest)}`
  const place = placeIn(error.stack ?? "") ?? (error.name === "SyntaxError" ? parsed(path) : "")
  const words = `${error.name}: ${shown(error.message).slice(0, longest)}`
  return place === "" ? words : `${words} (${place})`
}

/** Messages may repeat whole files. */
const longest = 300

/** The topmost place of a stack that is in a file, unless that is this one: then it was thrown by Node. */
const placeIn = (stack: string): string | undefined => {
  const [, url = "", line = ""] = /(file:\/\/[^\s()]+?):(\d+)/.exec(stack) ?? []
  return url === "" || url === import.meta.url || url.includes("/node_modules/effect/")
    ? undefined
    : `${basename(fileURLToPath(url))}:${line}`
}

/** Node keeps the line of a syntax error to itself, except when asked for nothing but a parse. */
const parsed = (path: string): string => {
  const { stderr } = spawnSync(process.execPath, ["--check", path], { timeout: 5000 })
  const [, line] = /^(?:file:)?[^\n]*:(\d+)\r?\n/.exec(String(stderr ?? "")) ?? []
  return line === undefined ? "" : `${basename(path)}:${line}`
}
