/**
 * A tree that reads the media server's API, with the stand-in, and with MediaMTX itself where `MEDIAMTX_BIN` names
 * one.
 */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type Settings } from "@restream/config"
import {
  type CameraId,
  Deadline,
  everyCamera,
  LiveSettings,
  MediaMtxApi,
  MemoryCameraSource,
  Ownership,
  type PublisherName,
  Restream
} from "@restream/core"
import { Board } from "@restream/core/http"
import { ReaderSession } from "@restream/core/rtsp"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { publishable, url } from "../rtsp/LiveCamera.ts"
import { mediaMtx } from "../rtsp/Peers.ts"
import { type ApiServer, mediaMtxServer, publish, standIn } from "./ApiServers.ts"

const settingsFor = (server: ApiServer): Settings => ({
  ...defaultSettings,
  mediaServer: {
    ...defaultSettings.mediaServer,
    port: server.rtspPort,
    apiUrl: server.apiUrl,
    checkInterval: Duration.millis(100)
  },
  relay: {
    ...defaultSettings.relay,
    stallTimeout: Duration.seconds(1),
    restartDelay: Duration.millis(100)
  }
})

/** A tree with one live camera. */
const running = Effect.fnUntraced(function* (server: ApiServer, name?: PublisherName) {
  const camera = yield* RtspServer.make()
  yield* TestPattern.publish(camera, "live")
  const settings = settingsFor(server)
  const services = yield* Layer.build(
    Layer.provideMerge(
      Board.layer("1"),
      Restream.layer(settings).pipe(
        Layer.provideMerge(MemoryCameraSource.layer([{ id: 1, url: camera.url("live") }]))
      )
    ).pipe(
      Layer.provide(NodeServices.layer),
      Layer.provide(Layer.succeed(Ownership, { ...everyCamera, publisher: () => name })),
      Layer.provideMerge(LiveSettings.layer(settings))
    )
  )
  return services
})

const apiOf = ({ apiUrl }: ApiServer) =>
  MediaMtxApi.make({
    url: apiUrl,
    trust: { _tag: "Verify" },
    timeout: Deadline.make("5 seconds")
  })

const id = "1" as CameraId

/** Repeats an effect until it gives something. */
const until = <A, E, R>(effect: Effect.Effect<A | undefined, E, R>) =>
  Effect.map(
    Effect.repeat(Effect.delay(effect, "20 millis"), { until: (value) => value !== undefined }),
    (value) => value!
  )

/** Waits for the problem of the API, and compares its message. */
const refusesOurPassword = Effect.fnUntraced(function* (server: ApiServer) {
  const apiUrl = Redacted.make(`http://operator:wrong@127.0.0.1:${server.apiPort}`)
  const services = yield* running({ ...server, apiUrl })
  const { message } = yield* until(
    Effect.map(Context.get(services, Board).overview, ({ causes }) =>
      causes.find(({ kind }) => kind === "media-server-api")
    )
  )
  assert.match(
    message,
    /: the API refused the user name or password of mediaServer\.apiUrl \(401\)/
  )
})

const peers = [
  { name: "the stand-in", make: standIn, isThere: true },
  { name: "MediaMTX", make: mediaMtxServer, isThere: mediaMtx !== undefined }
]
for (const { isThere, make, name } of peers) {
  describe.skipIf(!isThere)(`a tree with the API of ${name}`, () => {
    it.live("shows whether each camera is online there, with its readers and bytes", () =>
      Effect.gen(function* () {
        const server = yield* make()
        const services = yield* running(server)
        yield* Effect.gen(function* () {
          const board = yield* Board
          const reported = (hasReaders: boolean) =>
            until(
              Effect.map(board.camera(id), (camera) => {
                const said = camera?.mediaServer
                const isEnough = said?.isOnline === true && said.inboundBytes > 0
                return isEnough && said.readers > 0 === hasReaders ? said : undefined
              })
            )
          assert.isAbove((yield* reported(false)).since!, Date.now() - 60_000)
          const reader = yield* ReaderSession.open({ url: url(server.at("cam1")) })
          yield* reader.setup(publishable(reader))
          yield* reader.play({ frames: () => {} })
          assert.strictEqual((yield* reported(true)).readers, 1)
          assert.deepStrictEqual((yield* board.overview).causes, [])
        }).pipe(Effect.provideContext(services))
      })
    )

    it.live("ends a publisher that an earlier daemon left over, and publishes at once", () =>
      Effect.gen(function* () {
        const server = yield* make({ overridePublisher: "reject" })
        const ghost = yield* publish(server, "cam1", "restream/0.0.1 abc")
        const others = yield* publish(server, "cam2", "restream/0.0.1 abc")
        const services = yield* running(server, { instance: "abc", isExclusive: true })
        yield* Effect.gen(function* () {
          const board = yield* Board
          yield* Effect.flip(ghost.closed)
          const live = yield* until(
            Effect.map(board.camera(id), (camera) => (camera?.word === "ok" ? camera : undefined))
          )
          assert.strictEqual(live.restarts.total, 0)
          const publisher = (yield* apiOf(server).publishers).find(({ path }) => path === "cam1")
          assert.match(publisher?.userAgent ?? "", /^restream\/\d\S* abc$/)
          // the path of another camera was not refused to us
          assert.isFalse(others.connection.isClosed)
        }).pipe(Effect.provideContext(services))
      })
    )

    it.live("waits for every other publisher, and names it", () =>
      Effect.gen(function* () {
        const cases: ReadonlyArray<readonly [string, PublisherName | undefined]> = [
          ["Lavf61.7", { instance: "abc", isExclusive: true }],
          ["restream/0.0.1 xyz", { instance: "abc", isExclusive: true }],
          ["restream/0.0.1 abc", { instance: "abc", isExclusive: false }],
          ["restream/0.0.1 abc", undefined]
        ]
        for (const [agent, name] of cases) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const server = yield* make({ overridePublisher: "reject" })
              const other = yield* publish(server, "cam1", agent)
              const services = yield* running(server, name)
              const board = Context.get(services, Board)
              const { problem } = yield* until(
                Effect.map(board.camera(id), (camera) =>
                  camera?.state === "restarting" ? camera : undefined
                )
              )
              assert.include(problem?.message, `the path has another publisher, "${agent}" at 127.`)
              assert.isFalse(other.connection.isClosed)
            })
          )
        }
      })
    )
  })
}

describe.skipIf(mediaMtx === undefined)("a tree with the API of MediaMTX", () => {
  it.live("reports a wrong password, to which MediaMTX responds after 2 s", () =>
    Effect.scoped(Effect.flatMap(mediaMtxServer(), refusesOurPassword))
  )
})

describe("a tree with the API of the stand-in", () => {
  it.live("reports a wrong password, to which the server responds after 2 s", () =>
    Effect.gen(function* () {
      const server = yield* standIn()
      server.answer = (response) => void setTimeout(() => response.writeHead(401).end(), 2200)
      yield* refusesOurPassword(server)
    })
  )

  it.live("restarts a relay that the server does not list, once, and then logs that", () =>
    Effect.gen(function* () {
      const server = yield* standIn()
      const services = yield* running(server)
      yield* Effect.gen(function* () {
        const board = yield* Board
        yield* until(
          Effect.map(board.camera(id), (camera) =>
            camera?.word === "ok" && camera.mediaServer?.isOnline === true ? true : undefined
          )
        )
        // two more answers: the relay was live at the beginning of the second
        const asked = server.requests.length
        yield* until(Effect.sync(() => (server.requests.length >= asked + 2 ? true : undefined)))
        server.hidden.add("cam1")
        const restarted = yield* until(
          Effect.map(board.camera(id), (camera) =>
            camera?.restarts.total === 1 && camera.word === "ok" ? camera : undefined
          )
        )
        assert.isTrue(restarted.timeline.some(({ reason }) => reason?.includes("no publisher")))
        const causes = yield* until(
          Effect.map(board.overview, ({ causes }) => (causes.length > 0 ? causes : undefined))
        )
        assert.deepStrictEqual(
          causes.map(({ cameras, kind }) => `${kind}: ${cameras.join()}`),
          ["offline: 1"]
        )
        const camera = yield* board.camera(id)
        assert.deepInclude(camera, { word: "ok" })
        assert.strictEqual(camera?.restarts.total, 1)
        assert.deepInclude(camera?.mediaServer, { isOnline: false })
        server.hidden.clear()
        yield* until(
          Effect.map(board.overview, ({ causes }) => (causes.length === 0 ? true : undefined))
        )
      }).pipe(Effect.provideContext(services))
    })
  )

  it.live("relays as usual while the API refuses, hangs or fails, one request at a time", () =>
    Effect.gen(function* () {
      const server = yield* standIn()
      server.answer = () => {}
      const services = yield* running(server)
      yield* Effect.gen(function* () {
        const board = yield* Board
        yield* server.server.awaitPackets("cam1")
        const detailed = (pattern: RegExp) =>
          until(
            Effect.map(board.overview, ({ causes }) =>
              causes.find(
                ({ kind, message }) => kind === "media-server-api" && pattern.test(message)
              )
            )
          )
        yield* detailed(/no response/)
        server.answer = (response) => response.writeHead(401).end()
        yield* detailed(/refused the user name or password/)
        const camera = yield* board.camera(id)
        assert.deepInclude(camera, { word: "ok", mediaServer: null })
        assert.strictEqual(camera?.restarts.total, 0)
        assert.strictEqual(server.mostAtOnce, 1)
      }).pipe(Effect.provideContext(services))
    })
  )
})
