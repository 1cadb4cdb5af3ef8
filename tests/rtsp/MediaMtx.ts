/** Starts MediaMTX with its own configuration on free ports. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "@restream/core/testing"
import { Effect } from "effect"
import { start } from "../kit/Spawn.ts"
import { mediaMtx } from "./Peers.ts"

/** Settings that not every release has; MediaMTX ignores unknown environment variables. */
const environment = { MTX_RTSPTRANSPORTS: "tcp", MTX_PROTOCOLS: "tcp", MTX_MOQ: "no" }

/** A configuration, and a server that can be started repeatedly. The scope removes the configuration. */
export const configured = Effect.fnUntraced(function* (
  settings: ReadonlyArray<string> = [],
  paths: ReadonlyArray<string> = ["all_others:"]
) {
  const port = yield* freePort
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-mediamtx-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  writeFileSync(
    join(folder, "mediamtx.yml"),
    [
      "logLevel: debug",
      `rtspAddress: 127.0.0.1:${port}`,
      ...["rtmp", "hls", "webrtc", "srt"]
        .filter((protocol) => !settings.includes(`${protocol}: yes`))
        .map((protocol) => `${protocol}: no`),
      ...settings,
      "paths:",
      ...paths.map((line) => `  ${line}`),
      ""
    ].join("\n")
  )
  return {
    folder,
    port,
    at: (path: string) => `rtsp://127.0.0.1:${port}/${path}`,
    /** The scope stops the server. */
    start: Effect.gen(function* () {
      const running = yield* start(mediaMtx ?? "", [join(folder, "mediamtx.yml")], {
        cwd: folder,
        env: environment
      })
      yield* running.awaitSaid(/\[RTSPS?\] (?:listener|started)[^\n]*/)
      return running
    })
  }
})

/** A running server. */
export const mediaServer = Effect.fnUntraced(function* (settings: ReadonlyArray<string> = []) {
  const { at, start } = yield* configured(settings)
  return { running: yield* start, at }
})
