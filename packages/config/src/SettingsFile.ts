/** Reads the settings file, which is YAML 1.2. */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type { SettingsProblem } from "./SettingsError.ts"
import { readYaml, type YamlFile } from "./YamlFile.ts"

/** The settings file as the caller read it. */
export type SettingsFile = YamlFile

/** The content of the file before it is decoded. */
export interface FileContent {
  readonly root: Readonly<Record<string, unknown>>
  /** The position of a key, or of the closest key above it: `restream.yaml:12`. */
  readonly placeOf: (path: ReadonlyArray<string>) => string
}

/** Parses the file. An empty file sets nothing. */
export const readFile = (file: SettingsFile): Result.Result<FileContent, SettingsProblem> =>
  Result.flatMap(readYaml(file), ({ placeOf, root }) => {
    const values = root ?? {}
    if (Predicate.isObject(values)) return Result.succeed({ root: values, placeOf })
    const message = "expected groups such as database:, with their settings indented below"
    return Result.fail({ key: undefined, origin: file.name, message })
  })
