/**
 * The ffmpegs that the suites run against: the one in PATH, and those from npm, which are an ffmpeg of
 * 2018 (where RTSP's time-out is still `-stimeout`) and an ffprobe of 2023.
 *
 * `RESTREAM_TEST_FFMPEG` names folders with more of them, separated by colons.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, join } from "node:path"

const require = createRequire(import.meta.url)

export interface Binary {
  /** For the suite's title. */
  readonly label: string
  readonly path: string
}

const installed = (name: "ffmpeg" | "ffprobe"): ReadonlyArray<Binary> => {
  const found: Array<Binary> = [
    {
      label: `the ${name} from npm`,
      path: (require(`@${name}-installer/${name}`) as { readonly path: string }).path
    }
  ]
  if (spawnSync(name, ["-version"]).status === 0) {
    found.push({ label: `the ${name} in PATH`, path: name })
  }
  for (const folder of (process.env["RESTREAM_TEST_FFMPEG"] ?? "").split(":")) {
    const path = join(folder, name)
    if (folder !== "" && existsSync(path)) {
      found.push({ label: `the ${name} in ${basename(folder)}`, path })
    }
  }
  return found
}

export const ffmpegs = installed("ffmpeg")
export const ffprobes = installed("ffprobe")

/** Any that works, for making media. */
export const anyFfmpeg = (ffmpegs.at(1) ?? ffmpegs[0]!).path
