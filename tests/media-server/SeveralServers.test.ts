/** A tree with several media servers, over real sockets. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type Settings } from "@restream/config"
import {
  type CameraId,
  type CameraRow,
  LiveSettings,
  MemoryCameraSource,
  Restream,
  ServerChoice,
  StatusStore
} from "@restream/core"
import { Board } from "@restream/core/http"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Context, Duration, Effect, Exit, Layer, PubSub, Scope, SubscriptionRef } from "effect"
import * as Log from "../kit/Log.ts"
import { namedServer } from "../kit/NamedServer.ts"

type Server = RtspServer["Service"]

const named = (servers: Readonly<Record<string, number>>): Settings["mediaServers"] =>
  Object.fromEntries(
    Object.entries(servers).map(([name, port]) => [name, { ...namedServer, port }])
  )

const settingsFor = (servers: Readonly<Record<string, number>>): Settings => ({
  ...defaultSettings,
  mediaServer: { ...defaultSettings.mediaServer, checkInterval: Duration.millis(100) },
  mediaServers: named(servers),
  probe: { ...defaultSettings.probe, perHost: 32 },
  relay: { ...defaultSettings.relay, restartDelay: Duration.millis(100), restartBackoff: false }
})

/** A tree, and what a test does with it. */
const tree = Effect.fnUntraced(function* (
  servers: Readonly<Record<string, number>>,
  rows: (url: string) => ReadonlyArray<CameraRow>,
  failover = defaultSettings.failover
) {
  const camera = yield* RtspServer.make({ resolve: () => "camera" })
  yield* TestPattern.publish(camera, "camera")
  const log = Log.make()
  const settings = yield* SubscriptionRef.make({ ...settingsFor(servers), failover })
  const services = yield* log.capture(
    Layer.build(
      Layer.provideMerge(
        Board.layer("1"),
        Restream.layer(settings).pipe(
          Layer.provideMerge(MemoryCameraSource.layer(rows(camera.url("camera"))))
        )
      ).pipe(Layer.provide(NodeServices.layer), Layer.provideMerge(LiveSettings.layer(settings)))
    )
  )
  const status = Context.get(services, StatusStore)
  const board = Context.get(services, Board)
  const cameras = Context.get(services, MemoryCameraSource.CameraRows)
  return {
    camera,
    log,
    board,
    /** Changes a row. */
    change: (id: number, more: CameraRow) =>
      SubscriptionRef.update(cameras, (rows) =>
        rows.map((row) => (row["id"] === id ? { ...row, ...more } : row))
      ),
    reload: (servers: Readonly<Record<string, number>>) =>
      SubscriptionRef.update(settings, (before) => ({ ...before, mediaServers: named(servers) })),
    awaitState: (id: number, tag: string) =>
      status
        .get(String(id) as CameraId)
        .pipe(
          Effect.delay("10 millis"),
          Effect.repeat({ until: (one) => one?.state._tag === tag }),
          Effect.asVoid
        ),
    detail: (id: number) => Effect.map(board.camera(String(id) as CameraId), (one) => one!)
  }
})

const awaitLive = (server: Server, path: string) =>
  Effect.andThen(server.awaitPublisher(path), server.awaitPackets(path))

const isPublished = (server: Server, path: string) =>
  Effect.map(server.path(path), (one) => one?.publisher !== undefined)

/** A path that goes to a server by its name alone. */
const pathFor = (name: string, servers: Settings["mediaServers"]): string => {
  const candidates = ServerChoice.candidatesOf({ ...defaultSettings, mediaServers: servers })
  return ["p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9"].find(
    (path) => ServerChoice.inOrder(path, candidates)[0]?.name === name
  )!
}

describe("several media servers", () => {
  it.live("publishes each camera to its own, and one path to each of them", () =>
    Effect.gen(function* () {
      const [hall, yard] = [yield* RtspServer.make(), yield* RtspServer.make()]
      const ports = { hall: hall.port, yard: yard.port }
      const path = pathFor("yard", named(ports))
      const { detail, log } = yield* tree(ports, (url) => [
        { id: 1, url, path: "gate", media_server: "hall" },
        { id: 2, url, path: "gate", media_server: "yard" },
        { id: 3, url, path },
        { id: 4, url, media_server: "roof" }
      ])
      yield* Effect.all([awaitLive(hall, "gate"), awaitLive(yard, "gate"), awaitLive(yard, path)], {
        concurrency: "unbounded"
      })
      assert.isFalse(yield* isPublished(hall, path))
      const { mediaServerName, playerUrls } = yield* detail(3)
      assert.strictEqual(mediaServerName, "yard")
      assert.strictEqual(playerUrls?.rtsp, `rtsp://127.0.0.1:${yard.port}/${path}`)
      const { problem } = yield* detail(4)
      assert.include(problem?.message, 'unknown media server "roof"')
      assert.isTrue(
        log
          .lines()
          .some((line) => line.includes(`media server hall (127.0.0.1:${hall.port}) is reachable`))
      )
    })
  )

  it.live("lets the cameras of the others go on while one is unreachable, and names it", () =>
    Effect.gen(function* () {
      const hall = yield* RtspServer.make()
      const away = yield* Scope.make()
      const yard = yield* Scope.provide(RtspServer.make(), away)
      const { awaitState, board, detail } = yield* tree(
        { hall: hall.port, yard: yard.port },
        (url) => [
          { id: 1, url, media_server: "hall" },
          { id: 2, url, media_server: "yard" }
        ]
      )
      yield* awaitLive(hall, "cam1")
      yield* awaitLive(yard, "cam2")
      yield* Scope.close(away, Exit.void)
      yield* awaitState(2, "Waiting")
      const { causes, mediaServer, mediaServers } = yield* board.overview
      assert.deepStrictEqual(
        causes.map(({ cameras, kind, message }) => [
          kind,
          message.split(":")[0],
          cameras.map(String)
        ]),
        [["media-server", "media server yard is unreachable", ["2"]]]
      )
      assert.strictEqual(mediaServer.state, "down")
      assert.deepStrictEqual(
        mediaServers?.map(({ name, state }) => `${name} ${state}`),
        ["hall up", "yard down"]
      )
      assert.strictEqual((yield* detail(1)).state, "live")
      const again = yield* RtspServer.make({ port: yard.port })
      yield* awaitLive(again, "cam2")
    })
  )

  it.live("moves a camera whose row names another one, after the old relay has ended", () =>
    Effect.gen(function* () {
      const [hall, yard] = [yield* RtspServer.make(), yield* RtspServer.make()]
      const { camera, change, log } = yield* tree({ hall: hall.port, yard: yard.port }, (url) => [
        { id: 1, url, media_server: "hall" }
      ])
      yield* awaitLive(hall, "cam1")
      const events = yield* camera.events
      yield* change(1, { media_server: "yard" })
      yield* awaitLive(yard, "cam1")
      assert.isFalse(yield* isPublished(hall, "cam1"))
      // the camera saw the end of one reader before the next one began
      const seen = yield* PubSub.takeAll(events)
      const order = seen.flatMap((event) =>
        event._tag === "Reading" || (event._tag === "Ended" && event.was === "reader")
          ? [event._tag]
          : []
      )
      assert.deepStrictEqual(order, ["Ended", "Reading"])
      assert.isTrue(log.lines().some((line) => line.includes("media server changed")))
    })
  )

  it.live("moves cameras from a server that stays unreachable, and back when it has returned", () =>
    Effect.gen(function* () {
      const hall = yield* RtspServer.make()
      const away = yield* Scope.make()
      const yard = yield* Scope.provide(RtspServer.make(), away)
      const ports = { hall: hall.port, yard: yard.port }
      const [path, other] = [pathFor("yard", named(ports)), pathFor("hall", named(ports))]
      const { awaitState, detail, log } = yield* tree(
        ports,
        (url) => [
          { id: 1, url, path },
          { id: 2, url, media_server: "yard" },
          { id: 3, url, path: other }
        ],
        { after: Duration.millis(100), backAfter: Duration.millis(100) }
      )
      yield* Effect.all([awaitLive(yard, path), awaitLive(yard, "cam2"), awaitLive(hall, other)], {
        concurrency: "unbounded"
      })
      yield* Scope.close(away, Exit.void)
      yield* awaitLive(hall, path)
      yield* awaitState(1, "Live")
      assert.strictEqual((yield* detail(1)).mediaServerName, "hall")
      // its row names the server
      yield* awaitState(2, "Waiting")
      const again = yield* RtspServer.make({ port: yard.port })
      yield* Effect.all([awaitLive(again, path), awaitLive(again, "cam2")], {
        concurrency: "unbounded"
      })
      assert.isFalse(yield* isPublished(hall, path))
      assert.strictEqual((yield* hall.path(other))?.publishers, 1)
      const lines = log.lines().filter((line) => /failover\.(?:after|backAfter)/.test(line))
      assert.strictEqual(lines.length, 2)
    })
  )

  it.live("follows a reload: another address, one server less, and one server only", () =>
    Effect.gen(function* () {
      const [hall, yard, moved] = [
        yield* RtspServer.make(),
        yield* RtspServer.make(),
        yield* RtspServer.make()
      ]
      const path = pathFor("yard", named({ hall: 1, yard: 2 }))
      const { reload } = yield* tree({ hall: hall.port, yard: yard.port }, (url) => [
        { id: 1, url, path }
      ])
      yield* awaitLive(yard, path)
      yield* reload({ hall: hall.port, yard: moved.port })
      yield* awaitLive(moved, path)
      assert.isFalse(yield* isPublished(yard, path))
      yield* reload({ hall: hall.port })
      yield* awaitLive(hall, path)
      assert.isFalse(yield* isPublished(moved, path))
    })
  )
})
