/** The live picture on a camera's page, in a real browser. */
import { assert, describe, layer } from "@effect/vitest"
import { freePort, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Scope } from "effect"
import { existsSync, mkdtempSync, readFile, rmSync } from "node:fs"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { missing } from "../kit/Browser.ts"
import type { Env } from "../kit/Command.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import { start } from "../kit/Spawn.ts"
import { configured } from "../rtsp/MediaMtx.ts"
import { ffmpeg, mediaMtx, publishWithFfmpeg, skipped } from "../rtsp/Peers.ts"
import { awaitText, by, faults, site, type Visit } from "./Visit.ts"

if (mediaMtx === undefined) skipped("a live picture from MediaMTX", "MEDIAMTX_BIN names none")

const click = ({ page }: Visit, name: string) =>
  by(() => page.getByRole("button", { name, exact: true }).click())

/** Opens the page of a camera when it is live. */
const openCamera = Effect.fnUntraced(function* (list: Visit, name = "Gate") {
  yield* awaitText(list, `[role=row]:has-text('${name}')`, /live/)
  yield* by(() => list.page.getByRole("link", { name }).click())
  yield* awaitText(list, "h1", /live/)
})

interface PageElement {
  readonly videoWidth: number
  readonly videoHeight: number
  readonly src: string
}

interface Reply {
  readonly status: number
  readonly body: string
}

const closed = (server: Server) =>
  Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  })

const listening = (server: Server) =>
  Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () => closed(server)
  )

const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** A WebRTC server whose answers come from the test. */
const webrtcServer = (reply: (offer: string) => Promise<Reply>) =>
  Effect.gen(function* () {
    const requests: Array<string> = []
    const server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`)
      void text(request).then(async (offer) => {
        if (request.method !== "POST") return response.writeHead(200).end()
        const { body, status } = await reply(offer)
        return response.writeHead(status, { location: "/gate/whep/session1" }).end(body)
      })
    })
    yield* listening(server)
    return { close: closed(server), requests, url: urlOf(server) }
  })

/** An HLS server of the path `gate`: a live stream, as ffmpeg writes it. */
const hlsServer = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-hls-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  yield* start(
    ffmpeg,
    [
      ..."-nostdin -hide_banner -loglevel error -re -f lavfi -i testsrc=size=320x180:rate=15".split(
        " "
      ),
      ..."-pix_fmt yuv420p -c:v libx264 -preset ultrafast -g 15 -b:v 200k -f hls -hls_time 1".split(
        " "
      ),
      ..."-hls_list_size 4 -hls_segment_type fmp4 -hls_flags delete_segments".split(" "),
      ..."-master_pl_name index.m3u8 stream.m3u8".split(" ")
    ],
    { cwd: folder }
  )
  const requests: Array<string> = []
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "", "http://here")
    requests.push(pathname)
    readFile(join(folder, pathname.replace("/gate/", "")), (error, data) =>
      error === null ? response.end(data) : response.writeHead(404).end()
    )
  })
  yield* listening(server)
  yield* until("the first playlist", () => existsSync(join(folder, "index.m3u8")))
  return { requests, url: urlOf(server) }
})

/** In a page of the browser: answers an offer with pictures that are drawn there. */
const answerWithPictures = `async (sdp, hasPictures) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 90 })
  const context = canvas.getContext("2d")
  setInterval(() => {
    context.fillStyle = "#" + Math.floor(Math.random() * 0xfff).toString(16).padStart(3, "0")
    context.fillRect(0, 0, 160, 90)
  }, 40)
  const connection = new RTCPeerConnection()
  globalThis.connections = [...(globalThis.connections ?? []), connection]
  const sender = connection.addTrack(canvas.captureStream(25).getTracks()[0])
  if (!hasPictures) await sender.replaceTrack(null)
  await connection.setRemoteDescription({ type: "offer", sdp })
  await connection.setLocalDescription()
  while (connection.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20))
  return connection.localDescription.sdp
}`

const answerIn = ({ page }: Visit, offer: string, hasPictures = true) =>
  page.evaluate<string>(`(${answerWithPictures})(${JSON.stringify(offer)}, ${hasPictures})`)

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "a live picture",
  (it) => {
    describe.skipIf(missing !== undefined || mediaMtx === undefined)("from MediaMTX", () => {
      it.effect("plays after a click, and ends with a click and with the page", () =>
        Effect.gen(function* () {
          const [http, udp, api] = [yield* freePort, yield* freePort, yield* freePort]
          const server = yield* configured([
            "webrtc: yes",
            `webrtcAddress: 127.0.0.1:${http}`,
            `webrtcLocalUDPAddress: 127.0.0.1:${udp}`,
            "webrtcIPsFromInterfaces: no",
            "webrtcAdditionalHosts: [127.0.0.1]",
            "api: yes",
            `apiAddress: 127.0.0.1:${api}`
          ])
          yield* server.start
          const readers = Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${api}/v3/paths/get/gate`)
            const { readers } = (await response.json()) as {
              readonly readers: ReadonlyArray<unknown>
            }
            return readers.length
          })
          const { cameras, sql, startDaemon, visit } = yield* site
          yield* publishWithFfmpeg(cameras.url("gate"))
          yield* cameras.awaitPackets("gate")
          yield* sql`insert into cameras ${sql.insert({ name: "Gate", path: "gate", url: cameras.url("gate") })}`
          yield* startDaemon({
            MEDIA_SERVER_PORT: String(server.port),
            RESTREAM_MEDIA_SERVER_WEBRTC_URL: `http://127.0.0.1:${http}`
          })
          const camera = yield* visit("#/cameras")
          yield* openCamera(camera)
          for (const isLast of [false, true]) {
            yield* click(camera, "Play live")
            yield* awaitText(camera, ".live", /The first picture took/)
            process.stdout.write(`WHEP: ${yield* by(() => camera.page.innerText(".live"))}\n`)
            const video = camera.page.getByLabel("Gate, live")
            const size = yield* by(() =>
              video.evaluate((element) => {
                const { videoHeight, videoWidth } = element as unknown as Record<string, number>
                return [videoWidth, videoHeight]
              })
            )
            assert.deepStrictEqual(size, [320, 180])
            assert.strictEqual(yield* readers, 1)
            if (isLast) yield* by(() => camera.page.close())
            else yield* click(camera, "Stop")
            yield* Effect.repeat(Effect.delay(readers, "20 millis"), {
              until: (count) => count === 0
            })
          }
          assert.deepStrictEqual(camera.complaints, [])
        })
      )

      it.effect("plays by HLS what WebRTC does not carry, or shows why not", () =>
        Effect.gen(function* () {
          const [http, udp, hls] = [yield* freePort, yield* freePort, yield* freePort]
          const server = yield* configured([
            "webrtc: yes",
            `webrtcAddress: 127.0.0.1:${http}`,
            `webrtcLocalUDPAddress: 127.0.0.1:${udp}`,
            "webrtcIPsFromInterfaces: no",
            "webrtcAdditionalHosts: [127.0.0.1]",
            "hls: yes",
            `hlsAddress: 127.0.0.1:${hls}`,
            "authInternalUsers:",
            "- { user: restream, pass: planted, permissions: [{ action: publish }, { action: read }] }"
          ])
          yield* server.start
          const { cameras, sql, startDaemon, visit } = yield* site
          const streams = [
            ["hevc", "libx265 -x265-params log-level=error:bframes=0:keyint=15"],
            ["bframes", "libx264 -bf 2 -g 30"]
          ] as const
          for (const [name, encoder] of streams) {
            yield* start(ffmpeg, [
              ..."-nostdin -hide_banner -loglevel error -re -f lavfi".split(" "),
              ..."-i testsrc=size=320x180:rate=15 -f lavfi -i sine=sample_rate=44100".split(" "),
              ..."-pix_fmt yuv420p -preset ultrafast -c:a aac".split(" "),
              ...`-c:v ${encoder} -f rtsp -rtsp_transport tcp ${cameras.url(name)}`.split(" ")
            ])
            yield* cameras.awaitPackets(name)
            yield* sql`insert into cameras ${sql.insert({ name, path: name, url: cameras.url(name) })}`
          }
          yield* startDaemon({
            MEDIA_SERVER_PORT: String(server.port),
            RESTREAM_MEDIA_SERVER_USERNAME: "restream",
            RESTREAM_MEDIA_SERVER_PASSWORD: "planted",
            RESTREAM_MEDIA_SERVER_WEBRTC_URL: `http://127.0.0.1:${http}`,
            RESTREAM_MEDIA_SERVER_HLS_URL: `http://127.0.0.1:${hls}`
          })
          for (const [name, words] of [
            ["hevc", /does not play H\.265 by WebRTC.*does not play H\.265 by HLS/],
            ["bframes", /Live by HLS.*Connected by WebRTC, but no picture came/]
          ] as const) {
            const camera = yield* visit("#/cameras")
            yield* openCamera(camera, name)
            const before = performance.now()
            yield* click(camera, "Play live")
            yield* awaitText(camera, ".live", words)
            process.stdout.write(
              `${name}: ${yield* by(() => camera.page.innerText(".live"))} after ${Math.round(performance.now() - before)} ms\n`
            )
          }
        })
      )
    })

    describe.skipIf(missing !== undefined)(missing ?? "from a stand-in", () => {
      /** The camera Gate, relayed from the test pattern, and its page. */
      const gate = Effect.fnUntraced(function* (
        webrtcUrl: (
          visit: Effect.Success<typeof site>["visit"]
        ) => Effect.Effect<string, never, Scope.Scope>,
        env: Env = {}
      ) {
        const { cameras, sql, startDaemon, visit } = yield* site
        const publisher = yield* Scope.make()
        yield* TestPattern.publish(cameras, "gate", {}).pipe(Scope.provide(publisher))
        yield* sql`insert into cameras ${sql.insert({ name: "Gate", path: "gate", url: cameras.url("gate") })}`
        yield* startDaemon({ ...env, RESTREAM_MEDIA_SERVER_WEBRTC_URL: yield* webrtcUrl(visit) })
        const camera = yield* visit("#/cameras")
        yield* openCamera(camera)
        return { camera, publisher, visit }
      })

      it.effect("plays while the page is shown and the camera is live", () =>
        Effect.gen(function* () {
          let requests: ReadonlyArray<string> = []
          const { camera, publisher } = yield* gate((visit) =>
            Effect.gen(function* () {
              const sender = yield* visit("", {}, "about:blank")
              const server = yield* webrtcServer(async (offer) => ({
                status: 201,
                body: await answerIn(sender, offer)
              }))
              requests = server.requests
              return server.url
            })
          )
          // nothing is asked of the media server before a click
          assert.deepStrictEqual(requests, [])
          yield* click(camera, "Play live")
          yield* awaitText(camera, ".live", /The first picture took/)
          const size = yield* by(() =>
            camera.page.getByLabel("Gate, live").evaluate((element) => {
              const { videoHeight, videoWidth } = element as unknown as PageElement
              return [videoWidth, videoHeight]
            })
          )
          assert.deepStrictEqual(size, [160, 90])
          assert.deepStrictEqual(requests, ["POST /gate/whep"])
          assert.deepStrictEqual(yield* faults(camera), [])

          // hidden by another tab
          yield* by(() =>
            camera.page.evaluate(
              `Object.defineProperty(document, "hidden", { value: true, configurable: true });
               document.dispatchEvent(new Event("visibilitychange"))`
            )
          )
          yield* by(() => camera.page.getByRole("button", { name: "Play live" }).waitFor())
          yield* until("the end of the session", () => requests.length === 2)
          assert.strictEqual(requests[1], "DELETE /gate/whep/session1")
          yield* by(() => camera.page.evaluate(`delete document.hidden`))

          // another view
          yield* click(camera, "Play live")
          yield* awaitText(camera, ".live", /The first picture took/)
          yield* by(() => camera.page.getByRole("link", { name: "Overview" }).click())
          yield* until("the end of the session", () => requests.length === 4)
          assert.strictEqual(requests[3], "DELETE /gate/whep/session1")

          // the camera goes away
          yield* by(() => camera.page.goBack())
          yield* click(camera, "Play live")
          yield* awaitText(camera, ".live", /The first picture took/)
          yield* Scope.close(publisher, Exit.void)
          yield* until("the end of the session", () => requests.length === 6)
          yield* awaitText(camera, "h1", /down/)
          assert.isTrue(
            yield* by(() => camera.page.getByRole("button", { name: "Play live" }).isDisabled())
          )
          assert.deepStrictEqual(camera.complaints, [])
        })
      )

      it.effect("plays by HLS where WebRTC does not play", () =>
        Effect.gen(function* () {
          const hls = yield* hlsServer
          const { camera } = yield* gate(() => Effect.succeed("http://127.0.0.1:1"), {
            RESTREAM_MEDIA_SERVER_HLS_URL: hls.url
          })
          const loaded: Array<string> = []
          camera.page.on("request", (request) => loaded.push(new URL(request.url()).pathname))
          const library = () => loaded.filter((path) => path.startsWith("/assets/hls-"))
          yield* click(camera, "Play live")
          yield* awaitText(camera, ".live", /Live by HLS\. The first picture .* No WebRTC server/)
          assert.lengthOf(library(), 1)
          const video = camera.page.getByLabel("Gate, live")
          const size = yield* by(() =>
            video.evaluate((element) => {
              const { videoHeight, videoWidth } = element as unknown as PageElement
              return [videoWidth, videoHeight]
            })
          )
          assert.deepStrictEqual(size, [320, 180])
          assert.deepStrictEqual(yield* faults(camera), [])
          // it goes on with the next segments
          const media = hls.requests.filter((path) => path.endsWith(".m4s")).length
          yield* until(
            "more segments",
            () => hls.requests.filter((path) => path.endsWith(".m4s")).length > media + 1
          )
          yield* click(camera, "Stop")
          assert.strictEqual(
            yield* by(() => video.evaluate((element) => (element as unknown as PageElement).src)),
            ""
          )
          // the policy of the page was not in the way
          assert.deepStrictEqual(
            camera.complaints.filter((text) => !/409/.test(text)),
            []
          )
          // a browser that plays HLS by itself needs no library
          yield* by(() =>
            camera.page.evaluate(`
              globalThis.ManagedMediaSource = MediaSource;
              HTMLVideoElement.prototype.canPlayType = () => "maybe"`)
          )
          yield* click(camera, "Play live")
          yield* awaitText(camera, ".live", /Connecting by HLS|by HLS/)
          yield* by(() =>
            // by a selector: the policy of the page lets no function be evaluated a second time
            camera.page
              .locator('video[src$="api/cameras/1/hls/index.m3u8"]')
              .waitFor({ state: "attached" })
          )
          assert.lengthOf(library(), 1)
        })
      )

      it.effect("shows why a camera does not play", () =>
        Effect.gen(function* () {
          let answer: (offer: string) => Promise<Reply> = () => Promise.reject(new Error())
          let sender: Visit | undefined
          let requests: ReadonlyArray<string> = []
          let closeServer: Effect.Effect<void> = Effect.void
          let playlist: Reply = { status: 404, body: "" }
          const hls = createServer((_, response) =>
            response.writeHead(playlist.status).end(playlist.body)
          )
          yield* listening(hls)
          const { camera } = yield* gate(
            (visit) =>
              Effect.gen(function* () {
                sender = yield* visit("", {}, "about:blank")
                const server = yield* webrtcServer((offer) => answer(offer))
                requests = server.requests
                closeServer = server.close
                return server.url
              }),
            { RESTREAM_MEDIA_SERVER_HLS_URL: urlOf(hls) }
          )
          const play = Effect.fnUntraced(function* (words: RegExp) {
            yield* click(camera, "Play live")
            yield* awaitText(camera, ".live", words)
          })
          for (const [status, body, words] of [
            [404, '{"error":"no stream is available"}', /does not have this path/],
            [400, '{"error":"codecs not supported by client"}', /does not play H264 by WebRTC/],
            [401, "", /does not allow reading/],
            [500, "boom", /rejected the request/]
          ] as const) {
            answer = () => Promise.resolve({ status, body })
            yield* play(words)
          }
          // more, in the words of the daemon, and what may help
          yield* awaitText(camera, "p.quiet", /answered 500: boom/)
          const link = camera.page.getByRole("link", { name: /HLS/ })
          assert.strictEqual(yield* by(() => link.getAttribute("href")), `${urlOf(hls)}/gate`)
          for (const [status, body, words] of [
            [404, '{"error":"no stream is available"}', /The HLS server does not have this path/],
            [401, "", /The HLS server does not allow reading/],
            [200, "<html>", /The HLS server rejected the request/],
            [
              200,
              '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="hvc1.1.6.L93.B0"\na.m3u8\n',
              /does not play H264 by HLS/
            ]
          ] as const) {
            playlist = { status, body }
            yield* play(words)
          }
          assert.deepStrictEqual(yield* faults(camera), [])

          // where only time tells, the browser's clock is moved
          yield* by(() => camera.page.clock.install())
          answer = async (offer) => {
            const sdp = await answerIn(sender!, offer)
            return { status: 201, body: sdp.replaceAll(/^a=candidate.*\r\n/gm, "") }
          }
          const isAnswered = (count: number) => until("the answer", () => requests.length === count)
          yield* click(camera, "Play live")
          yield* isAnswered(9)
          yield* by(() => camera.page.clock.fastForward(9000))
          yield* awaitText(camera, ".live", /a firewall may block UDP port 8189/)
          yield* isAnswered(10)

          answer = async (offer) => ({ status: 201, body: await answerIn(sender!, offer, false) })
          yield* click(camera, "Play live")
          yield* isAnswered(11)
          yield* by(() =>
            sender!.page.waitForFunction(`connections.at(-1).connectionState === "connected"`)
          )
          yield* by(() => camera.page.clock.fastForward(1000))
          yield* by(() => camera.page.clock.fastForward(13_000))
          yield* awaitText(camera, ".live", /Connected by WebRTC, but no picture came/)
          yield* isAnswered(12)

          // what the browser knows by itself is not asked
          yield* by(() =>
            camera.page.evaluate(`RTCRtpReceiver.getCapabilities = () => ({ codecs: [] })`)
          )
          yield* play(/does not play H264 by WebRTC/)
          yield* by(() => camera.page.evaluate(`delete globalThis.RTCPeerConnection`))
          yield* play(/This browser has no WebRTC/)
          assert.lengthOf(requests, 12)
          yield* by(() => camera.page.reload())
          yield* closeServer
          yield* closed(hls)
          yield* play(/No WebRTC server responds.*No HLS server responds/)
        })
      )
    })
  }
)
