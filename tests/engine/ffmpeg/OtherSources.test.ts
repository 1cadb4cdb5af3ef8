import { assert, describe, it } from "@effect/vitest"
import { RtspServer } from "@restream/core/testing"
import { Effect, Result } from "effect"
import { execFileSync, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { createServer as createTcpServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { certificate, key } from "../../rtsp/Certificate.ts"
import { anyFfmpeg, ffmpegs, ffprobes } from "./Binaries.ts"
import { engine } from "./Engines.ts"
import { camera, job, probe, startRelay } from "../Streams.ts"
import * as FakeBinary from "../../kit/FakeBinary.ts"

/** A web server; gives its address. */
const serve = (listener: RequestListener, isSecure = false) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly close: () => void }>((resume) => {
      const server = isSecure
        ? createSecureServer({ cert: certificate, key }, listener)
        : createServer(listener)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => {
          server.close()
          server.closeAllConnections()
        }
        const scheme = isSecure ? "https" : "http"
        resume(Effect.succeed({ url: `${scheme}://127.0.0.1:${port}`, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const live =
  "-nostdin -loglevel error -re -f lavfi -i testsrc=size=320x240:rate=10 -f lavfi -i sine " +
  "-pix_fmt yuv420p -c:v libx264 -preset ultrafast -tune zerolatency -g 10 -c:a aac -f flv pipe:1"

/** A camera that sends Flash video by HTTP, as Dahua and Reolink do. */
const sendsFlv: RequestListener = (request, response) => {
  if (request.url !== "/live.flv") {
    response.writeHead(request.url === "/secret" ? 401 : 404).end()
    return
  }
  const encoder = spawn(anyFfmpeg, live.split(" "), { stdio: ["ignore", "pipe", "ignore"] })
  response.on("close", () => encoder.kill("SIGKILL"))
  response.writeHead(200, { "content-type": "video/x-flv" })
  encoder.stdout.pipe(response)
}
const httpCamera = serve(sendsFlv)

describe.concurrent.each(ffprobes)("$label, with a camera that speaks HTTPS,", ({ path }) => {
  const opening = (options: Parameters<typeof camera>[1]) =>
    Effect.gen(function* () {
      let requests = 0
      const { url } = yield* serve((request, response) => {
        requests++
        sendsFlv(request, response)
      }, true)
      const ffmpeg = yield* engine({ ffprobePath: path })
      const address = `${url.replace("://", "://admin:geheim@")}/live.flv`
      const result = yield* Effect.result(probe(ffmpeg, camera(address, options)))
      return { result, requests }
    })

  it.live("accepts any certificate if the row allows it", () =>
    Effect.gen(function* () {
      const { result } = yield* opening({ insecure: true })
      assert.isTrue(Result.isSuccess(result))
    })
  )

  it.live.each([{}, { fingerprint: "00".repeat(32) }, { fingerprint: "00", insecure: true }])(
    "sends no password with an unknown certificate and the options %j",
    (options) =>
      Effect.gen(function* () {
        const { requests, result } = yield* opening(options)
        assert.isTrue(Result.isFailure(result))
        assert.strictEqual(requests, 0)
      })
  )
})

describe.concurrent.each(ffprobes)("$label, with a camera that speaks HTTP,", ({ path }) => {
  const probing = (url: string) =>
    Effect.flatMap(engine({ ffprobePath: path }), (ffmpeg) => probe(ffmpeg, camera(url)))

  it.live("reports the stream", () =>
    Effect.gen(function* () {
      const { url } = yield* httpCamera
      const { audio, video } = yield* probing(`${url}/live.flv`)
      assert.deepInclude(video, { codec: "h264", width: 320, height: 240 })
      assert.deepInclude(audio, { codec: "aac", sampleRate: 44_100, copyable: true })
    })
  )

  it.live.each([
    ["/none", "NotFound"],
    ["/secret", "Unauthorized"]
  ] as const)("names the status of %s: %s", ([target, expected]) =>
    Effect.gen(function* () {
      const { url } = yield* httpCamera
      const { reason } = yield* Effect.flip(probing(url + target))
      assert.strictEqual(reason._tag, expected)
    })
  )

  it.live("finds no media in a web page", () =>
    Effect.gen(function* () {
      const { url } = yield* serve((_, response) => {
        response.end("<html>Welcome to your camera</html>".repeat(100))
      })
      const { reason } = yield* Effect.flip(probing(`${url}/`))
      assert.strictEqual(reason._tag, "ProtocolError")
    })
  )
})

/** A video file of this machine, which nothing may publish. */
const localFile = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "restream-file-"))
    const path = join(folder, "private.ts")
    const arguments_ =
      "-nostdin -loglevel error -f lavfi -i testsrc=size=64x64:rate=10 -t 2 -c:v libx264"
    execFileSync(anyFfmpeg, [...arguments_.split(" "), path])
    return { folder, path }
  }),
  ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** A TCP server that sends one text to everybody who connects; gives its port. */
const sendToAll = (text: string) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const server = createTcpServer((socket) => {
        socket.on("error", () => {}).end(text)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ port, close: () => server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const playlistOf = (address: string) =>
  `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\n${address}\n#EXT-X-ENDLIST\n`

describe.each(ffmpegs)(
  "$label, with a camera that sends a playlist of local files,",
  ({ path }) => {
    it.live.each(["tcp", "http"])("publishes none of them for a %s:// URL", (scheme) =>
      Effect.gen(function* () {
        const file = yield* localFile
        const sink = yield* RtspServer.make()
        // whatever ffprobe would say: ffmpeg must not open the file
        const ffmpeg = yield* engine({ ffmpegPath: path, ffprobePath: yield* FakeBinary.ffprobe })
        for (const address of [`file://${file.path}`, file.path, `concat:${file.path}`]) {
          const playlist = playlistOf(address)
          const url =
            scheme === "tcp"
              ? `tcp://127.0.0.1:${(yield* sendToAll(playlist)).port}`
              : `${(yield* serve((_, response) => void response.end(playlist))).url}/live.m3u8`
          const ended = yield* startRelay(ffmpeg, job(url, sink.url("out"))).pipe(
            Effect.flatMap(({ ended }) => ended),
            Effect.flip,
            Effect.scoped
          )
          assert.notStrictEqual(ended.reason._tag, "LaunchFailed")
          assert.isUndefined(yield* sink.path("out"), `${url}: ${address}`)
        }
      }).pipe(Effect.scoped)
    )
  }
)

describe.concurrent.each(ffmpegs)("$label, with a camera that speaks HTTP,", ({ path }) => {
  it.live("relays it", () =>
    Effect.gen(function* () {
      const { url } = yield* httpCamera
      const sink = yield* RtspServer.make()
      const ffmpeg = yield* engine({ ffmpegPath: path })
      const running = yield* startRelay(ffmpeg, job(`${url}/live.flv`, sink.url("out")))
      yield* running.flowing
      const status = yield* sink.path("out")
      assert.deepStrictEqual(
        status?.publisher?.tracks.map(({ codec }) => codec),
        ["h264", "aac"]
      )
    })
  )
})
