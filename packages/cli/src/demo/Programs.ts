/** Programs on PATH, and those that npm packages carry. */
import { accessSync, constants } from "node:fs"
import { createRequire } from "node:module"
import { delimiter, join } from "node:path"

/** The program's file, if it is on PATH. */
export const findProgram = (name: string): string | undefined =>
  (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable)

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const require = createRequire(import.meta.url)

const installed = (module: string): string | undefined => {
  try {
    const { path } = require(module) as { readonly path: string }
    return path
  } catch {
    return undefined
  }
}

/** ffmpeg from PATH, else from npm, else its bare name, whose absence the engine then tells. */
export const ffmpeg = (): string =>
  findProgram("ffmpeg") ?? installed("@ffmpeg-installer/ffmpeg") ?? "ffmpeg"

/** ffprobe from PATH, else from npm, else its bare name. */
export const ffprobe = (): string =>
  findProgram("ffprobe") ?? installed("@ffprobe-installer/ffprobe") ?? "ffprobe"
