/** ffmpeg and ffprobe, from PATH or from npm packages. */
import { createRequire } from "node:module"
import { findProgram } from "../process/FindProgram.ts"

const require = createRequire(import.meta.url)

const installed = (module: string): string | undefined => {
  try {
    const { path } = require(module) as { readonly path: string }
    return path
  } catch {
    return undefined
  }
}

/** ffmpeg from PATH, else from npm, else its bare name; the engine reports a missing program. */
export const ffmpeg = (): string =>
  findProgram("ffmpeg") ?? installed("@ffmpeg-installer/ffmpeg") ?? "ffmpeg"

/** ffprobe from PATH, else from npm, else its bare name. */
export const ffprobe = (): string =>
  findProgram("ffprobe") ?? installed("@ffprobe-installer/ffprobe") ?? "ffprobe"
