import { assert, describe, it } from "@effect/vitest"
import { type Camera, CameraTypes, Engines, NativeEngine, Reason, StreamUrl } from "@restream/core"
import { Duration, Effect, Result, type Scope } from "effect"
import { camera as cameraOf, probe } from "../engine/Streams.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as OnvifDevice from "../kit/OnvifDevice.ts"
import { cameraWith } from "../rtsp/LiveCamera.ts"

const credentials = { username: "admin", password: `p&<w"ü'` }

const profiles: ReadonlyArray<OnvifDevice.OnvifProfile> = [
  {
    token: "p_sub",
    name: "subStream",
    source: "v1",
    width: 640,
    height: 360,
    uri: "rtsp://192.168.1.64:8554/sub?a=1&b=2"
  },
  {
    token: "p_main",
    name: "mainStream",
    source: "v1",
    width: 1920,
    height: 1080,
    uri: "rtsp://0.0.0.0:0/main"
  },
  {
    token: "p_jpeg",
    name: "jpeg",
    source: "v1",
    encoding: "JPEG",
    width: 4000,
    height: 3000,
    uri: "rtsp://0.0.0.0/jpeg"
  },
  {
    token: "p_2",
    name: "second input",
    source: "v2",
    width: 1280,
    height: 720,
    uri: "rtsp://h/two"
  }
]

const types = CameraTypes.make()

const present = (columns: object) =>
  Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined))

const onvifCamera = (port: number, more: object = {}): Camera => ({
  ...cameraOf("rtsp://unused/"),
  options: {
    ...cameraOf("rtsp://unused/").options,
    engine: "auto",
    openTimeout: Duration.seconds(5)
  },
  url: Result.getOrThrow(
    types.toUrl("onvif", present({ host: "127.0.0.1", port, ...credentials, ...more }))
  )
})

/** Opens a camera by a fake engine; gives the address at which that engine opened it. */
const open = Effect.fnUntraced(function* (camera: Camera, fake = FakeEngine.make()) {
  const addresses: Array<string> = []
  const { answer } = fake
  fake.answer = (camera: Camera) => {
    addresses.push(StreamUrl.reveal(camera.url))
    return answer(camera)
  }
  const [engine] = Result.getOrThrow(Engines.make([fake.engine]).select(camera))
  yield* Effect.scoped(engine.open(camera))
  return addresses.at(-1)
})

const reasonOf = (camera: Camera) => Effect.map(Effect.flip(open(camera)), ({ reason }) => reason)

const live = (name: string, run: Effect.Effect<void, unknown, Scope.Scope>) =>
  it.live(name, () => run)

const account = "admin:p%26%3Cw%22%C3%BC%27"

describe("the camera type onvif", () => {
  live(
    "asks for the stream, and mends its host, its port and its credentials",
    Effect.gen(function* () {
      const { port, requests } = yield* OnvifDevice.make({ profiles, credentials })
      for (const [more, address] of [
        [{}, "rtsp://ACCOUNT@127.0.0.1/main"],
        [{ stream: "sub" }, "rtsp://ACCOUNT@127.0.0.1:8554/sub?a=1&b=2"],
        [{ stream: "2", rtsp_port: 5554 }, "rtsp://ACCOUNT@127.0.0.1:5554/sub?a=1&b=2"],
        [{ stream: "SubStream" }, "rtsp://ACCOUNT@127.0.0.1:8554/sub?a=1&b=2"],
        [{ stream: "p_jpeg" }, "rtsp://ACCOUNT@127.0.0.1/jpeg"],
        [{ stream: "Second Input" }, "rtsp://ACCOUNT@127.0.0.1/two"],
        [{ channel: 2 }, "rtsp://ACCOUNT@127.0.0.1/two"]
      ] as const) {
        assert.strictEqual(
          decodeURIComponent((yield* open(onvifCamera(port, more))) ?? ""),
          decodeURIComponent(address.replace("ACCOUNT", account))
        )
      }
      assert.deepStrictEqual(requests.slice(0, 4), [
        "GetSystemDateAndTime",
        "GetServices",
        "GetProfiles",
        "GetStreamUri"
      ])
    })
  )

  for (const [what, options] of [
    ["a clock that is an hour behind", { skewMs: -3_600_000 }],
    ["HTTP Digest", { auth: "http" }],
    [
      "HTTP Digest, and a clock that it does not tell",
      { auth: "http", hidesClock: true, skewMs: 1e7 }
    ],
    ["the media service 2 alone", { services: "media2" }],
    ["no list of services", { services: "capabilities" }]
  ] as const) {
    live(
      `gets the stream of a device with ${what}`,
      Effect.gen(function* () {
        const device = yield* OnvifDevice.make({ profiles, credentials, ...options })
        assert.include(yield* open(onvifCamera(device.port)), "@127.0.0.1/main")
      })
    )
  }

  live(
    "relays a real stream, and asks again only after its address has failed",
    Effect.gen(function* () {
      const server = yield* cameraWith({})
      const uri = server.url("cam").replace("127.0.0.1", "10.9.8.7")
      const device = yield* OnvifDevice.make({
        profiles: [{ token: "t", name: "main", uri }]
      })
      const { select } = Engines.make([NativeEngine.make()])
      const camera = { ...onvifCamera(device.port, { username: undefined, password: undefined }) }
      const [engine] = Result.getOrThrow(select(camera))
      assert.strictEqual((yield* probe(engine, camera)).video.codec, "h264")
      const asked = device.requests.length
      yield* probe(engine, camera)
      assert.lengthOf(device.requests, asked)

      const good = device.options
      device.options = { profiles: [{ token: "t", name: "main", uri: "rtsp://x:1/gone" }] }
      const other = { ...camera, url: camera.url.withTarget("/?stream=main") }
      assert.strictEqual((yield* Effect.flip(probe(engine, other))).reason._tag, "Refused")
      device.options = good
      assert.strictEqual((yield* probe(engine, other)).video.codec, "h264")
    })
  )

  live(
    "tries a wrong password once, and says that the clocks may be the cause",
    Effect.gen(function* () {
      for (const [options, message] of [
        [{}, "wrong user name or password"],
        [
          { skewMs: -7_200_000 },
          "wrong user name or password; the clock of the camera is 7200 s behind ours"
        ],
        [
          { hidesClock: true },
          "wrong user name or password, or a wrong clock in the camera, whose time is unknown"
        ],
        [{ auth: "http" }, "wrong user name or password"]
      ] as const) {
        const device = yield* OnvifDevice.make({ profiles, credentials, ...options })
        const reason = yield* reasonOf(onvifCamera(device.port, { password: "TopSecret1" }))
        assert.strictEqual(reason._tag, "Unauthorized")
        assert.include(reason.message.replace(/720[01] s/, "7200 s"), message)
        const refused = device.requests.filter((request) => request.startsWith("GetServices!"))
        // HTTP Digest begins with a request that the device refuses
        assert.lengthOf(refused, "auth" in options ? 2 : 1)
      }
      const device = yield* OnvifDevice.make({ profiles, credentials })
      const none = yield* reasonOf(
        onvifCamera(device.port, { username: undefined, password: undefined })
      )
      assert.deepStrictEqual(none, new Reason.Unauthorized({ credentials: "missing" }))
    })
  )

  live(
    "says in one line why there is no address",
    Effect.gen(function* () {
      const device = yield* OnvifDevice.make({ profiles })
      const failures: Array<string> = []
      const fails = (options: Partial<OnvifDevice.OnvifDeviceOptions>, more: object = {}) =>
        Effect.gen(function* () {
          device.options = { profiles, ...options }
          const reason = yield* reasonOf(onvifCamera(device.port, more))
          failures.push(reason.message.replace(String(device.port), "PORT"))
        })
      const respond = (status: number, body: string) => ({ respond: () => ({ status, body }) })
      yield* fails({}, { stream: "third" })
      yield* fails({}, { channel: 3 })
      yield* fails({ profiles: [] })
      yield* fails(respond(404, "<html>Not Found</html>"))
      yield* fails(respond(200, "<a>".repeat(200_000)))
      yield* fails(respond(500, OnvifDevice.fault("ter:Action", "Line one\nand  p&amp;&lt;w\"ü'")))
      yield* fails({ profiles: [{ token: "t", name: "main", uri: "" }] })
      yield* fails({ profiles: [{ token: "t", name: "main", uri: "http://h/x?password=abc123" }] })
      assert.deepStrictEqual(failures, [
        'the device has no profile for stream "third"; its profiles: mainStream, subStream',
        "the device has 2 video inputs, and no channel 3",
        'the device has no profile for stream "main"; its profiles: none',
        "no ONVIF service at 127.0.0.1:PORT (HTTP status 404); check the port of the row, and that ONVIF is switched on in the camera",
        "no ONVIF service at 127.0.0.1:PORT (HTTP status 200); check the port of the row, and that ONVIF is switched on in the camera",
        "GetCapabilities failed: Line one and ***",
        "the device gave no URL for the stream",
        "the device gave a URL that is not RTSP: http://h/x?password=***"
      ])
    })
  )

  live(
    "waits for a device no longer than for a stream",
    Effect.gen(function* () {
      const device = yield* OnvifDevice.make({ profiles, respond: () => "nothing" })
      const camera = onvifCamera(device.port)
      const options = { ...camera.options, openTimeout: Duration.millis(200) }
      const reason = yield* reasonOf({ ...camera, options })
      assert.strictEqual(reason.message, "no response to GetSystemDateAndTime within 0.2 s")
    })
  )
})
