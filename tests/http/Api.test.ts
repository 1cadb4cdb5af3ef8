import { assert, describe, it } from "@effect/vitest"
import { type CameraId, everyStream, Reason, StatusStore } from "@restream/core"
import { EventStreams } from "@restream/core/http"
import { Context, Effect, Exit, Fiber, Option, Stream } from "effect"
import { until, untilEffect } from "../kit/Eventually.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { row } from "../kit/Tree.ts"
import { serve } from "./ApiServer.ts"

const id = (text: string) => ({ params: { id: text as CameraId } })

/** Three cameras: one live, one whose login is refused, one without a URL. */
const fixture = Effect.gen(function* () {
  const fake = FakeEngine.make()
  const { answer } = fake
  fake.answer = (camera) =>
    camera.id === "2"
      ? Effect.fail(new Reason.Unauthorized({ credentials: "wrong" }))
      : answer(camera)
  const api = yield* serve(fake, [row(1), row(2), row(3, { url: null })])
  const store = Context.get(api.services, StatusStore)
  const stateOf = (id: string) =>
    Effect.map(store.get(id as CameraId), (status) => status?.state._tag)
  const settled = untilEffect(
    "one camera live, one unreachable",
    Effect.gen(function* () {
      return (yield* stateOf("1")) === "Live" && (yield* stateOf("2")) === "Unreachable"
    })
  )
  yield* settled
  return { ...api, fake, store }
})

describe("the API", () => {
  it.live("lists a camera of which a further stream fails, and retries it by either id", () =>
    Effect.gen(function* () {
      const fake = FakeEngine.make()
      const { answer } = fake
      fake.answer = (camera) =>
        camera.id === "1:sub" ? Effect.fail(new Reason.NotFound()) : answer(camera)
      const streams = { streams: "main, sub", url_sub: "rtsp://10.0.0.5/two" }
      const { client, services } = yield* serve(fake, [row(1, streams), row(2)])
      const store = Context.get(services, StatusStore)
      yield* untilEffect(
        "the word of each stream",
        Effect.map(store.all, (all) =>
          all.every(
            ({ substreams = [], word }) => word === "ok" && substreams[0]?.word !== "starting"
          )
        )
      )
      const idsOf = (query: { readonly word?: "down" | "ok"; readonly q?: string }) =>
        Effect.map(client.cameras.list({ query }), ({ cameras }) =>
          cameras.map((camera) => String(camera.id))
        )
      assert.deepStrictEqual(yield* idsOf({ word: "down" }), ["1"])
      assert.deepStrictEqual(yield* idsOf({ word: "ok" }), ["1", "2"])
      assert.deepStrictEqual(yield* idsOf({ q: "cam1_sub" }), ["1"])
      const [sub] = (yield* client.cameras.get(id("1"))).substreams ?? []
      assert.strictEqual(sub?.id, "1:sub" as CameraId)
      assert.deepInclude(sub, { word: "down", bitrate: 0, mediaServer: null })
      for (const of of ["1", "1:sub"]) {
        const { message } = yield* client.cameras.retry(id(of))
        assert.strictEqual(message, "the camera is tried now")
      }
      const { message } = yield* client.cameras.retry(id("2"))
      assert.strictEqual(message, "the camera is live; nothing to retry")
    })
  )

  it.live("counts a camera once in the causes, with its streams", () =>
    Effect.gen(function* () {
      const fake = FakeEngine.make()
      const { answer } = fake
      fake.answer = (camera) => {
        if (camera.id === "2:sub")
          return Effect.fail(new Reason.Unauthorized({ credentials: "wrong" }))
        return camera.id === "4" ? answer(camera) : Effect.fail(new Reason.NotFound())
      }
      const streams = { streams: "main, sub", url_sub: "rtsp://10.0.0.5/two" }
      const rows = [row(1, streams), row(2, streams), row(3), row(4, streams)]
      const { client, services } = yield* serve(fake, rows)
      const store = Context.get(services, StatusStore)
      yield* untilEffect(
        "every camera down but 4",
        Effect.map(store.all, (all) =>
          everyStream(all).every(({ id, word }) => word === (id === "4" ? "ok" : "down"))
        )
      )
      const { causes, tally } = yield* client.status.overview({ query: {} })
      assert.deepInclude(tally, { down: 3, ok: 1 })
      assert.deepStrictEqual(
        causes.map(({ cameras, count, kind }) => [kind, count, cameras]),
        [["NotFound", 4, ["1", "2", "3", "4:sub"].map((text) => id(text).params.id)]]
      )
    })
  )

  it.live("lists the cameras, filtered, sorted and paged", () =>
    Effect.gen(function* () {
      const { client } = yield* fixture
      const all = yield* client.cameras.list({ query: {} })
      assert.deepStrictEqual(
        all.cameras.map(({ id, word }) => [id, word]),
        [
          ["1", "ok"],
          ["2", "down"],
          ["3", "invalid"]
        ]
      )
      assert.deepStrictEqual(all.tally, { ok: 1, down: 1, invalid: 1, starting: 0, waiting: 0 })
      assert.isUndefined(all.cameras[0]?.bitrates)
      const down = yield* client.cameras.list({ query: { word: "down", history: "true" } })
      assert.deepStrictEqual([down.total, down.cameras[0]?.bitrates?.length], [1, 60])
      assert.strictEqual(down.cameras[0]?.problem?.code, "Unauthorized")
      const page = yield* client.cameras.list({
        query: { sort: "word", order: "asc", limit: 1, offset: 1 }
      })
      assert.deepStrictEqual([page.total, page.cameras.map(({ id }) => id)], [3, ["3"]])
      const found = yield* client.cameras.list({ query: { q: "MERA 1" } })
      assert.deepStrictEqual(
        found.cameras.map(({ id }) => id),
        ["1"]
      )
    })
  )

  it.live("shows one camera, with advice, timeline, log lines and player addresses", () =>
    Effect.gen(function* () {
      const { client } = yield* fixture
      const live = yield* client.cameras.get(id("1"))
      assert.deepInclude(live, { word: "ok", engine: "native", advice: null })
      assert.deepStrictEqual(live.playerUrls, {
        webrtc: "http://127.0.0.1:8889/cam1",
        hls: "http://127.0.0.1:8888/cam1",
        rtsp: "rtsp://127.0.0.1:8554/cam1"
      })
      assert.deepStrictEqual(
        live.timeline.map(({ word }) => word),
        ["starting", "ok"]
      )
      const down = yield* client.cameras.get(id("2"))
      assert.match(down.advice ?? "", /user name and password/)
      assert.isNotNull(down.retryAt)
      const invalid = yield* client.cameras.get(id("3"))
      assert.deepInclude(invalid, { playerUrls: null, path: null })
      assert.strictEqual(invalid.problem?.code, "InvalidUrl")
      const unknown = yield* Effect.flip(client.cameras.get(id("4")))
      assert.strictEqual(unknown._tag, "CameraNotFound")
    })
  )

  it.live("retries and restarts a camera; 404 for an unknown one, 409 for an invalid one", () =>
    Effect.gen(function* () {
      const { client, fake, url } = yield* fixture
      const probes = fake.probes.length
      const { message } = yield* client.cameras.retry(id("2"))
      assert.match(message, /one login is tried/)
      yield* until("another probe", () => fake.probes.length > probes)
      yield* client.cameras.restart(id("1"))
      yield* until("another relay", () => fake.relays.length > 1)
      assert.isDefined(fake.relays[0]?.endedAt)
      for (const command of ["retry", "restart"] as const) {
        const unknown = yield* Effect.flip(client.cameras[command](id("4")))
        assert.strictEqual(unknown._tag, "CameraNotFound")
        const invalid = yield* Effect.flip(client.cameras[command](id("3")))
        assert.strictEqual(invalid._tag, "CameraInvalid")
      }
      const post = (path: string) =>
        Effect.promise(() => fetch(url + path, { method: "POST" }).then(({ status }) => status))
      assert.strictEqual(yield* post("/api/cameras/4/retry"), 404)
      assert.strictEqual(yield* post("/api/cameras/3/retry"), 409)
      assert.strictEqual(yield* post("/api/cameras/1/retry"), 202)
    })
  )

  it.live("sums up what is wrong by cause", () =>
    Effect.gen(function* () {
      const { client } = yield* fixture
      const overview = yield* client.status.overview({ query: {} })
      assert.strictEqual(overview.version, "1.2.3")
      assert.deepStrictEqual(
        overview.causes.map(({ cameras, kind }) => `${kind}: ${cameras.join()}`).sort(),
        ["Unauthorized: 2", "invalid: 3"]
      )
      assert.deepInclude(overview, { bitrate: 0 })
      assert.strictEqual(overview.mediaServer.state, "up")
      assert.strictEqual(overview.database.state, "up")
    })
  )

  it.live("is live and ready, and describes itself", () =>
    Effect.gen(function* () {
      const { client, url } = yield* fixture
      assert.isTrue((yield* client.health.live()).isOk)
      assert.isTrue((yield* client.health.ready()).isOk)
      const document = yield* Effect.promise(() =>
        fetch(`${url}/openapi.json`).then((response) => response.json() as Promise<any>)
      )
      assert.includeMembers(Object.keys(document.paths), [
        "/api/cameras",
        "/api/cameras/{id}",
        "/api/cameras/{id}/retry",
        "/api/events",
        "/health/live"
      ])
    })
  )

  it.live("rejects a query that it does not understand", () =>
    Effect.gen(function* () {
      const { url } = yield* fixture
      for (const query of ["word=bad", "limit=0", "limit=abc", "sort=color", "offset=-1"]) {
        const response = yield* Effect.promise(() => fetch(`${url}/api/cameras?${query}`))
        assert.strictEqual(response.status, 400, query)
      }
    })
  )
})

describe("/api/events", () => {
  it.live("sends all cameras first, then what changes, and bye at the end", () =>
    Effect.gen(function* () {
      const { client, fake, services } = yield* fixture
      const stream = yield* client.status.events({ headers: {}, query: {} })
      const names: Array<string> = []
      let down = false
      const reading = yield* Effect.forkChild(
        Stream.runForEach(stream, (event) =>
          Effect.sync(() => {
            names.push(event.event)
            if (event.event === "cameras") {
              down ||= event.data.cameras.some(({ id, word }) => id === "1" && word === "down")
              assert.isFalse(event.data.cameras.some(({ id }) => id === "3"))
            }
          })
        )
      )
      yield* until("the snapshot", () => names.includes("readers"))
      assert.deepStrictEqual(names, ["snapshot", "beat", "rates", "readers"])
      yield* fake.relays[0]!.end(new Reason.Stalled({ side: "input", afterMs: 10_000 }))
      yield* until("the change", () => down)
      yield* Context.get(services, EventStreams).close
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(reading)))
      assert.strictEqual(names.at(-1), "bye")
    })
  )

  it.live("continues after the last event of the same run, and starts over after a restart", () =>
    Effect.gen(function* () {
      const { client, fake, store } = yield* fixture
      const first = (headers: { readonly "last-event-id"?: string }) =>
        Effect.flatMap(client.status.events({ headers, query: {} }), (stream) =>
          Effect.map(Stream.runHead(stream), Option.getOrThrow)
        )
      const snapshot = yield* first({})
      assert.strictEqual(snapshot.event, "snapshot")
      yield* fake.relays[0]!.end(new Reason.Stalled({ side: "input", afterMs: 10_000 }))
      yield* untilEffect(
        "camera 1 down",
        Effect.map(
          store.get("1" as CameraId),
          (status) => status !== undefined && status.word === "down"
        )
      )
      const resumed = yield* first({ "last-event-id": snapshot.id! })
      assert.strictEqual(resumed.event, "cameras")
      if (resumed.event === "cameras") {
        assert.deepStrictEqual(
          resumed.data.cameras.map(({ id }) => id),
          ["1"]
        )
      }
      const foreign = yield* first({ "last-event-id": "0badb007-1" })
      assert.strictEqual(foreign.event, "snapshot")
    })
  )

  it.live("limits the number of open streams", () =>
    Effect.gen(function* () {
      const { client, services } = yield* fixture
      const streams = Context.get(services, EventStreams)
      yield* Effect.forEach(Array.from({ length: 64 }), () => streams.open(undefined))
      const error = yield* Effect.flip(client.status.events({ headers: {}, query: {} }))
      assert.strictEqual(error._tag, "TooManyStreams")
    })
  )

  it.live("gives the slot of a client that left to another client", () =>
    Effect.gen(function* () {
      const { client, services } = yield* fixture
      const streams = Context.get(services, EventStreams)
      yield* Effect.flatMap(client.status.events({ headers: {}, query: {} }), Stream.runHead)
      yield* untilEffect(
        "the end of the event streams",
        Effect.map(streams.count, (count) => count === 0)
      )
    })
  )
})
