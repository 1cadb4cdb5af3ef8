/**
 * The media server of the demo: a MediaMTX from `MEDIAMTX_BIN` or PATH, with its own configuration on free ports;
 * otherwise the embedded RTSP server.
 */
import { MediaServerError, rtspCheck, StreamUrl } from "@restream/core"
import { holdPort, RtspServer } from "@restream/core/testing"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Fiber from "effect/Fiber"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Path from "effect/Path"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { findProgram } from "../process/FindProgram.ts"

export interface DemoMediaServer {
  readonly name: "MediaMTX" | "embedded RTSP server"
  readonly port: number
  /** The address of a page that plays a path; only MediaMTX has pages. */
  readonly page: ((path: string) => string) | undefined
  /** The bytes received on each path, as counted by the server. */
  readonly received: Effect.Effect<ReadonlyMap<string, number>>
}

/** Starts the server in the scope. */
export const make = Effect.gen(function* () {
  const program = process.env["MEDIAMTX_BIN"] || findProgram("mediamtx")
  if (program !== undefined) return yield* mediaMtx(program)
  const server = yield* RtspServer.make()
  return {
    name: "embedded RTSP server",
    port: server.port,
    page: undefined,
    received: Effect.map(
      server.paths,
      (paths) => new Map(paths.map(({ bytes, path }) => [path, bytes]))
    )
  } satisfies DemoMediaServer
})

const mediaMtx = Effect.fnUntraced(function* (program: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const spawner = yield* ChildProcessSpawner
  const folder = yield* fs.makeTempDirectoryScoped({ prefix: "restream-mediamtx-" })
  const held = yield* Effect.all([holdPort, holdPort, holdPort])
  const [port, webPort, apiPort] = [held[0].port, held[1].port, held[2].port]
  const file = path.join(folder, "mediamtx.yml")
  yield* fs.writeFileString(
    file,
    [
      "logLevel: warn",
      `rtspAddress: 127.0.0.1:${port}`,
      "rtmp: no",
      "srt: no",
      "webrtc: no",
      `hlsAddress: 127.0.0.1:${webPort}`,
      "api: yes",
      `apiAddress: 127.0.0.1:${apiPort}`,
      "paths:",
      "  all_others:",
      ""
    ].join("\n")
  )
  const options: ChildProcess.CommandOptions = {
    stdin: "ignore",
    cwd: folder,
    // by the environment, because MediaMTX ignores unknown variables: the setting was PROTOCOLS before 1.9
    env: { MTX_RTSPTRANSPORTS: "tcp", MTX_PROTOCOLS: "tcp", MTX_MOQ: "no" },
    extendEnv: true,
    killSignal: "SIGINT",
    forceKillAfter: "3 seconds"
  }
  yield* Effect.forEach(held, ({ release }) => release)
  const handle = yield* spawner.spawn(
    process.platform === "linux"
      ? ChildProcess.make("setpriv", ["--pdeathsig=KILL", "--", program, file], options)
      : ChildProcess.make(program, [file], options)
  )
  let lastWords = "it said nothing"
  const listening = yield* handle.all.pipe(
    Stream.decodeText,
    Stream.splitLines,
    Stream.filter((line) => line.trim() !== ""),
    Stream.runForEach((line) => Effect.sync(() => void (lastWords = line))),
    Effect.ignore,
    Effect.forkScoped
  )
  const didNotStart = Effect.suspend(() =>
    Effect.fail(new MediaServerError({ detail: `${program} did not start: ${lastWords}` }))
  )
  const address = new StreamUrl({ scheme: "rtsp", host: "127.0.0.1", port })
  yield* rtspCheck(address).pipe(
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.raceFirst(Effect.andThen(Fiber.join(listening), didNotStart)),
    Effect.timeoutOrElse({ duration: "10 seconds", orElse: () => didNotStart })
  )
  return {
    name: "MediaMTX",
    port,
    page: (of: string) => `http://127.0.0.1:${webPort}/${of}`,
    received: receivedByMediaMtx(apiPort)
  } satisfies DemoMediaServer
})

/** The response of MediaMTX's control API v3; `inboundBytes` is the newer name. */
const PathList = Schema.Struct({
  items: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      inboundBytes: Schema.optional(Schema.Finite),
      bytesReceived: Schema.optional(Schema.Finite)
    })
  )
})

const receivedByMediaMtx = (apiPort: number): Effect.Effect<ReadonlyMap<string, number>> =>
  HttpClient.get(`http://127.0.0.1:${apiPort}/v3/paths/list?itemsPerPage=1000`).pipe(
    Effect.flatMap(HttpClientResponse.schemaBodyJson(PathList)),
    Effect.map(
      ({ items }) =>
        new Map(
          items.map(({ bytesReceived, inboundBytes, name }) => [
            name,
            inboundBytes ?? bytesReceived ?? 0
          ])
        )
    ),
    Effect.orElseSucceed(() => new Map<string, number>()),
    Effect.provide(FetchHttpClient.layer)
  )
