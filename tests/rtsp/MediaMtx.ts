/** MediaMTX, with a configuration of its own and on free ports. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { mediaMtx, start } from "./Peers.ts"

export const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** A configuration, and a server to be started with it as often as one likes. The scope removes it. */
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
      "rtspTransports: [tcp]",
      `rtspAddress: 127.0.0.1:${port}`,
      "rtmp: no",
      "hls: no",
      "webrtc: no",
      "srt: no",
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
    /** The scope ends it. */
    start: Effect.gen(function* () {
      const running = yield* start(mediaMtx ?? "", [join(folder, "mediamtx.yml")], { cwd: folder })
      yield* running.awaitSaid(/\[RTSPS?\] (?:listener|started)[^\n]*/)
      return running
    })
  }
})

/** A server that runs. */
export const mediaServer = Effect.fnUntraced(function* (settings: ReadonlyArray<string> = []) {
  const { at, start } = yield* configured(settings)
  return { running: yield* start, at }
})
