/** The live picture on a camera's page, in a real browser. */
import { assert, describe, layer } from "@effect/vitest"
import { freePort, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { missing } from "../kit/Browser.ts"
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
}

interface Reply {
  readonly status: number
  readonly body: string
}

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
    const close = Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () => close
    )
    return { close, requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
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
        }).pipe(Effect.scoped)
      )

      it.effect("says why it does not play what WebRTC does not carry", () =>
        Effect.gen(function* () {
          const [http, udp] = [yield* freePort, yield* freePort]
          const server = yield* configured([
            "webrtc: yes",
            `webrtcAddress: 127.0.0.1:${http}`,
            `webrtcLocalUDPAddress: 127.0.0.1:${udp}`,
            "webrtcIPsFromInterfaces: no",
            "webrtcAdditionalHosts: [127.0.0.1]"
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
              ..."-i testsrc=size=320x180:rate=15 -pix_fmt yuv420p -preset ultrafast".split(" "),
              ...`-c:v ${encoder} -f rtsp -rtsp_transport tcp ${cameras.url(name)}`.split(" ")
            ])
            yield* cameras.awaitPackets(name)
            yield* sql`insert into cameras ${sql.insert({ name, path: name, url: cameras.url(name) })}`
          }
          yield* startDaemon({
            MEDIA_SERVER_PORT: String(server.port),
            RESTREAM_MEDIA_SERVER_WEBRTC_URL: `http://127.0.0.1:${http}`
          })
          for (const [name, words] of [
            ["hevc", /does not play H\.265 by WebRTC/],
            ["bframes", /Connected, but no picture came/]
          ] as const) {
            const camera = yield* visit("#/cameras")
            yield* openCamera(camera, name)
            const before = performance.now()
            yield* click(camera, "Play live")
            yield* awaitText(camera, ".live", words)
            process.stdout.write(
              `WHEP: ${name}: ${yield* by(() => camera.page.innerText(".live"))} after ${Math.round(performance.now() - before)} ms\n`
            )
          }
        }).pipe(Effect.scoped)
      )
    })

    describe.skipIf(missing !== undefined)(missing ?? "from a stand-in", () => {
      /** The camera Gate, relayed from the test pattern, and its page. */
      const gate = Effect.fnUntraced(function* (
        webrtcUrl: (
          visit: Effect.Success<typeof site>["visit"]
        ) => Effect.Effect<string, never, Scope.Scope>
      ) {
        const { cameras, sql, startDaemon, visit } = yield* site
        const publisher = yield* Scope.make()
        yield* TestPattern.publish(cameras, "gate", {}).pipe(Scope.provide(publisher))
        yield* sql`insert into cameras ${sql.insert({ name: "Gate", path: "gate", url: cameras.url("gate") })}`
        yield* startDaemon({ RESTREAM_MEDIA_SERVER_WEBRTC_URL: yield* webrtcUrl(visit) })
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
        }).pipe(Effect.scoped)
      )

      it.effect("says why a camera does not play", () =>
        Effect.gen(function* () {
          let answer: (offer: string) => Promise<Reply> = () => Promise.reject(new Error())
          let sender: Visit | undefined
          let requests: ReadonlyArray<string> = []
          let closeServer: Effect.Effect<void> = Effect.void
          const { camera } = yield* gate((visit) =>
            Effect.gen(function* () {
              sender = yield* visit("", {}, "about:blank")
              const server = yield* webrtcServer((offer) => answer(offer))
              requests = server.requests
              closeServer = server.close
              return server.url
            })
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
          const hls = camera.page.getByRole("link", { name: /HLS/ })
          assert.match((yield* by(() => hls.getAttribute("href"))) ?? "", /:8888\/gate$/)
          assert.deepStrictEqual(yield* faults(camera), [])

          // where only time tells, the browser's clock is moved
          yield* by(() => camera.page.clock.install())
          answer = async (offer) => {
            const sdp = await answerIn(sender!, offer)
            return { status: 201, body: sdp.replaceAll(/^a=candidate.*\r\n/gm, "") }
          }
          const isAnswered = (count: number) => until("the answer", () => requests.length === count)
          yield* click(camera, "Play live")
          yield* isAnswered(5)
          yield* by(() => camera.page.clock.fastForward(9000))
          yield* awaitText(camera, ".live", /a firewall may block UDP port 8189/)
          yield* isAnswered(6)

          answer = async (offer) => ({ status: 201, body: await answerIn(sender!, offer, false) })
          yield* click(camera, "Play live")
          yield* isAnswered(7)
          yield* by(() =>
            sender!.page.waitForFunction(`connections.at(-1).connectionState === "connected"`)
          )
          yield* by(() => camera.page.clock.fastForward(1000))
          yield* by(() => camera.page.clock.fastForward(13_000))
          yield* awaitText(camera, ".live", /Connected, but no picture came/)
          yield* isAnswered(8)

          // what the browser knows by itself is not asked
          yield* by(() =>
            camera.page.evaluate(`RTCRtpReceiver.getCapabilities = () => ({ codecs: [] })`)
          )
          yield* play(/does not play H264 by WebRTC/)
          yield* by(() => camera.page.evaluate(`delete globalThis.RTCPeerConnection`))
          yield* play(/This browser has no WebRTC/)
          assert.lengthOf(requests, 8)
          yield* by(() => camera.page.reload())
          yield* closeServer
          yield* play(/No WebRTC server responds/)
        }).pipe(Effect.scoped)
      )
    })
  }
)
