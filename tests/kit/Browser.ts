/**
 * A headless Chromium from npm, for tests of the dashboard.
 *
 * The package carries the browser with the libraries that a bare machine lacks, for Linux on x64. Elsewhere
 * `CHROMIUM_BIN` names one, or the tests are skipped.
 */
import { inflate } from "@sparticuz/chromium"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { type Browser, chromium } from "playwright-core"

/** Why there is no browser here; `undefined` if there is one. */
export const missing: string | undefined =
  process.env["CHROMIUM_BIN"] !== undefined ||
  (process.platform === "linux" && process.arch === "x64")
    ? undefined
    : `no Chromium for ${process.platform} on ${process.arch} comes from npm; CHROMIUM_BIN names none`

const packageFolder = dirname(
  dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium"))
)

/** Unpacks the browser once for each version, 209 MB below the system's folder for temporary files. */
const unpacked = async (): Promise<string> => {
  const { version } = JSON.parse(await readFile(join(packageFolder, "package.json"), "utf8")) as {
    readonly version: string
  }
  const folder = join(tmpdir(), `restream-chromium-${version}`)
  if (existsSync(folder)) return folder
  const part = await mkdtemp(`${folder}-part-`)
  // the package unpacks to the folder for temporary files, and believes whatever lies there already
  const before = process.env["TMPDIR"]
  process.env["TMPDIR"] = part
  try {
    for (const archive of ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"]) {
      await inflate(join(packageFolder, "bin", archive))
    }
  } finally {
    if (before === undefined) delete process.env["TMPDIR"]
    else process.env["TMPDIR"] = before
  }
  // the configuration of the package names folders of another machine
  await writeFile(
    join(part, "fonts", "fonts.conf"),
    `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
     <fontconfig><dir>${folder}/fonts</dir><cachedir>${folder}/fonts-cache</cachedir></fontconfig>`
  )
  // whole or not at all, also for two that unpack at once
  await rename(part, folder).catch(() => rm(part, { recursive: true }))
  return folder
}

/** Starts a browser in a locale of the system. The caller closes it. */
export const launch = async (locale = "en_US.UTF-8"): Promise<Browser> => {
  const own = process.env["CHROMIUM_BIN"]
  if (own !== undefined) {
    return chromium.launch({
      executablePath: own,
      chromiumSandbox: false,
      env: { ...process.env, LANG: locale, LC_ALL: locale }
    })
  }
  const folder = await unpacked()
  return chromium.launch({
    executablePath: join(folder, "chromium"),
    // tests may run as root, where there is none
    chromiumSandbox: false,
    env: {
      ...process.env,
      LANG: locale,
      LC_ALL: locale,
      HOME: folder,
      FONTCONFIG_PATH: join(folder, "fonts"),
      LD_LIBRARY_PATH: join(folder, "al2023", "lib")
    }
  })
}
