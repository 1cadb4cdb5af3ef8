/**
 * Loads the modules named in the settings, which add camera types.
 *
 * A module exports one or more camera types as `cameraTypes` or as its default export, each with a `name` and a
 * `toUrl`. Or it exports a function that returns them and receives the exports of `@restream/core`.
 *
 * A module that imports `@restream/core` gets the copy in this program, even if another copy is installed: objects
 * of another copy would not be recognized.
 */
import { type LoadAttempt, oneLine, redact, type SettingsProblem } from "@restream/config"
import * as core from "@restream/core"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import { createRequire, registerHooks } from "node:module"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

/** The camera types of all modules, and the problems of loading them. */
export interface Plugins {
  readonly types: ReadonlyArray<core.CameraType.CameraType>
  readonly problems: ReadonlyArray<SettingsProblem>
}

/**
 * Loads all modules. Relative paths are resolved against the directory of the settings file if they are set
 * there, and otherwise against the working directory. Packages are resolved from there, then from this program.
 */
export const loadPlugins = Effect.fnUntraced(function* (
  { originOf, origins, settings }: LoadAttempt,
  file: string | undefined
): Effect.fn.Return<Plugins> {
  const isFromFile = origins.get("plugins")?._tag === "File"
  const directory = isFromFile && file !== undefined ? dirname(resolve(file)) : process.cwd()
  if (settings.plugins.length > 0) provideCore()
  const results = yield* Effect.forEach(settings.plugins, (name) =>
    Effect.map(Effect.result(loadPlugin(name, directory)), (result) => ({ name, result }))
  )
  const origin = originOf(["plugins"])
  return {
    types: results.flatMap(({ result }) => (Result.isSuccess(result) ? result.success : [])),
    problems: results.flatMap(({ name, result }) =>
      Result.isFailure(result)
        ? [{ key: "plugins", origin, message: `${display(name)}: ${result.failure}` }]
        : []
    )
  }
})

const coreName = "@restream/core"
const coreUrl = "restream:core"
const coreKey = Symbol.for(coreName)

/** Resolves `@restream/core` to the copy in this program, for all modules that are loaded from now on. */
const provideCore = (): void => {
  if (coreKey in globalThis) return
  Object.assign(globalThis, { [coreKey]: core })
  const names = Object.keys(core)
  const source = `const core = globalThis[Symbol.for("${coreName}")]\nexport const { ${names.join(", ")} } = core\n`
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === coreName
        ? { url: coreUrl, format: "module", shortCircuit: true }
        : next(specifier, context),
    load: (url, context, next) =>
      url === coreUrl ? { format: "module", source, shortCircuit: true } : next(url, context)
  })
}

const display = (text: string): string => oneLine(redact(text))

/** The camera types of one module, or why it cannot be loaded. */
const loadPlugin = Effect.fnUntraced(function* (name: string, directory: string) {
  const path = locate(name, directory)
  if (path === undefined) {
    return yield* Effect.fail(
      isPath(name)
        ? `no such file: ${display(resolve(directory, name))}`
        : `package not found from ${display(directory)} or from the installation of restream`
    )
  }
  if (!statSync(path).isFile()) return yield* Effect.fail(`not a file: ${display(path)}`)
  const exported = yield* Effect.tryPromise({
    try: async (): Promise<unknown> => {
      const module: Record<string, unknown> = await import(pathToFileURL(path).href)
      const types = module["cameraTypes"] ?? module["default"]
      return Predicate.isFunction(types) ? types(core) : types
    },
    catch: (error) => describe(error, path)
  })
  const candidates: ReadonlyArray<unknown> = Array.isArray(exported) ? exported : [exported]
  return candidates.every(isCameraType)
    ? candidates.map(core.CameraType.of)
    : yield* Effect.fail(
        "expected the export cameraTypes: objects with a name and a function toUrl, or a function that returns them"
      )
})

const isPath = (name: string): boolean => /^\.{0,2}\//.test(name)

const locate = (name: string, directory: string): string | undefined => {
  if (isPath(name)) {
    const path = resolve(directory, name)
    return existsSync(path) ? path : undefined
  }
  for (const base of [join(directory, "package.json"), import.meta.url]) {
    try {
      return createRequire(base).resolve(name)
    } catch {
      // not found from this base
    }
  }
  return undefined
}

const isCameraType = (value: unknown): value is Parameters<typeof core.CameraType.of>[0] =>
  Predicate.hasProperty(value, "name") &&
  Predicate.isString(value.name) &&
  Predicate.hasProperty(value, "toUrl") &&
  Predicate.isFunction(value.toUrl)

/** The error that a module threw: its name, message and position. */
const describe = (error: unknown, path: string): string => {
  if (!(error instanceof Error))
    return `the module threw ${display(String(error)).slice(0, maxLength)}`
  const position =
    positionIn(error.stack ?? "") ?? (error.name === "SyntaxError" ? syntaxErrorPosition(path) : "")
  const message = `${error.name}: ${display(error.message).slice(0, maxLength)}`
  return position === "" ? message : `${message} (${position})`
}

/** In characters. A message may contain a whole file. */
const maxLength = 300

/** The topmost file position of a stack, unless it is in this file: then Node threw the error. */
const positionIn = (stack: string): string | undefined => {
  const [, url = "", line = ""] = /(file:\/\/[^\s()]+?):(\d+)/.exec(stack) ?? []
  return url === "" || url === import.meta.url || url.includes("/node_modules/effect/")
    ? undefined
    : `${basename(fileURLToPath(url))}:${line}`
}

/** Node reports the line of a syntax error only with --check. */
const syntaxErrorPosition = (path: string): string => {
  const { stderr } = spawnSync(process.execPath, ["--check", path], { timeout: 5000 })
  const [, line] = /^(?:file:)?[^\n]*:(\d+)\r?\n/.exec(String(stderr ?? "")) ?? []
  return line === undefined ? "" : `${basename(path)}:${line}`
}
