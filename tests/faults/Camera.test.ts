/** Cameras that do not do what they should, beside cameras that do. */
import { assert, layer } from "@effect/vitest"
import { type CameraRow, CameraState, type Reason } from "@restream/core"
import { type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { Duration, Effect, PubSub, Redacted } from "effect"
import { type AddressInfo, createServer, type Server } from "node:net"
import { Postgres } from "../kit/Postgres.ts"
import * as BlackHole from "./BlackHole.ts"
import { restream } from "../kit/Command.ts"
import { addRows, database, idOf, row, settingsOf, start } from "../kit/Installation.ts"
import * as Log from "../kit/Log.ts"

const engines = ["native", "ffmpeg"] as const

/** A camera that is one host by itself. */
const cameraWith = Effect.fnUntraced(function* (quirks: Quirks) {
  const server = yield* RtspServer.make({ settings: () => ({ quirks }) })
  yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 5 })
  return server.url("cam")
})

const good = Effect.fnUntraced(function* (ids: ReadonlyArray<number>) {
  const server = yield* RtspServer.make({ resolve: () => "cam" })
  yield* TestPattern.publish(server, "cam")
  return ids.map((id) => row(id, server.url(`cam?${id}`)))
})

/** What answers, and speaks something else. */
const notRtsp = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    const server = createServer((socket) => {
      socket.on("error", () => {})
      socket.on("data", () => socket.end("SSH-2.0-OpenSSH_9.2\r\n"))
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => `rtsp://127.0.0.1:${(server.address() as AddressInfo).port}/cam`))

interface Fault {
  readonly what: string
  readonly url: Effect.Effect<string, unknown, import("effect").Scope.Scope>
  /** What each engine finds, and where: a probe is unreachable, a relay is restarted. */
  readonly native: readonly ["Unreachable" | "Restarting", Reason.Reason["_tag"]]
  readonly ffmpeg: readonly ["Unreachable" | "Restarting", Reason.Reason["_tag"]]
}

const unreachable = (tag: Reason.Reason["_tag"]) =>
  ({ native: ["Unreachable", tag], ffmpeg: ["Unreachable", tag] }) as const

const faults: ReadonlyArray<Fault> = [
  {
    what: "refuses",
    // a port that is free now may be the next server's; this one is nobody's (tcpmux)
    url: Effect.succeed("rtsp://127.0.0.1:1/cam"),
    ...unreachable("Refused")
  },
  {
    what: "accepts and never answers",
    url: cameraWith({ silentAt: "DESCRIBE" }),
    ...unreachable("TimedOut")
  },
  { what: "never accepts", url: BlackHole.make, ...unreachable("TimedOut") },
  {
    what: "answers 404",
    url: cameraWith({ rejectWith: { DESCRIBE: 404 } }),
    ...unreachable("NotFound")
  },
  {
    what: "answers garbage",
    url: notRtsp,
    native: ["Unreachable", "ProtocolError"],
    ffmpeg: ["Unreachable", "Closed"]
  },
  {
    what: "closes after SETUP",
    url: cameraWith({ closeAfterSetup: true }),
    native: ["Restarting", "Closed"],
    // ffmpeg itself can't tell it from nonsense
    ffmpeg: ["Unreachable", "ProtocolError"]
  },
  {
    what: "closes in the middle of a frame",
    url: cameraWith({ closeMidFrame: 60 }),
    native: ["Restarting", "Closed"],
    ffmpeg: ["Restarting", "Closed"]
  }
]

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("a camera", (it) => {
  it.effect(
    "cameras that refuse, are silent, garbled or broken get their reason and are tried by schedule",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const sink = yield* RtspServer.make()
        const cases = faults.flatMap((fault) => engines.map((engine) => ({ fault, engine })))
        const rows: Array<CameraRow> = []
        for (const [index, { engine, fault }] of cases.entries()) {
          rows.push(row(index + 1, yield* fault.url, { options: { engine } }))
        }
        yield* addRows(sql, rows)
        const delays = [300, 600, 900]
        const tree = yield* start(
          settingsOf(dsn, sink.port, {
            probe: {
              timeout: "4 seconds",
              retryDelays: delays.map((millis) => `${millis} millis`),
              jitter: 0
            },
            relay: { restartDelay: "1 second" }
          })
        )
        yield* Effect.forEach(
          cases,
          ({ engine, fault }, index) => {
            const [state, reason] = fault[engine]
            return Effect.andThen(
              tree.awaitState(index + 1, state, (seen) => seen.reason._tag === reason),
              // and it is tried again after that
              tree.until(
                (cameras) => (cameras.get(String(index + 1))?.state._tag ?? "Invalid") !== state
              )
            )
          },
          { concurrency: "unbounded" }
        )
        for (const [index, { engine, fault }] of cases.entries()) {
          const id = idOf(index + 1)
          const mine = tree.history.filter((change) => change.id === id)
          const message = `${fault.what}, ${engine}: ${mine.map(({ to }) => to?._tag).join(" ")}`
          for (const [at, { to, at: time }] of mine.entries()) {
            if (to?._tag === "Unreachable") {
              // the change was seen when it had happened, on a busy machine some time later
              assert.strictEqual(
                Math.ceil((to.retryAt - time) / 300) * 300,
                delays[Math.min(to.attempt, 3) - 1],
                message
              )
              const next = mine[at + 1]
              if (next !== undefined) assert.isAtLeast(next.at, to.retryAt - 20, message)
            }
          }
          // told once, however often it was tried; twice if it was live in between
          const wentLive = mine.some(({ to }) => to?._tag === "Live")
          const kind = mine.find(({ to }) => to?._tag === fault[engine][0])?.to
          const line = Log.about(
            id,
            CameraState.problemOf(kind!)?.replace(/^.* within [\d.]+ s /, "")
          )
          yield* tree.log.awaitLine(line)
          const told = tree.log.matching(line)
          assert.isAtLeast(told.length, 1, message)
          assert.isAtMost(told.length, wentLive ? 2 : 1, message)
        }
      })
  )

  it.effect("a camera without its stream is logged once, and once when it is live", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const camera = yield* RtspServer.make()
      yield* addRows(sql, [row(1, camera.url("cam"))])
      const tree = yield* start(
        settingsOf(dsn, sink.port, { probe: { retryDelays: ["100 millis"], jitter: 0 } })
      )
      yield* tree.awaitState(1, "Unreachable", ({ attempt }) => attempt === 5)
      yield* TestPattern.publish(camera, "cam")
      yield* tree.awaitState(1, "Live")
      assert.deepStrictEqual(tree.log.matching(Log.about(1)), [
        'Warn camera 1 "Camera 1": unreachable: no stream at this path (404); check the path of the URL; retrying in 0.1 s',
        'Info camera 1 "Camera 1": live: h264 64x64, no audio (native)'
      ])
    })
  )

  it.effect("a wrong password costs a recorder two attempts, however many channels it has", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const recorder = yield* RtspServer.make({
        authentication: { username: "admin", password: Redacted.make("right") }
      })
      const ids = Array.from({ length: 16 }, (_, n) => n + 1)
      for (const id of ids) yield* TestPattern.publish(recorder, `channel${id}`)
      const url = (id: number, password: string) =>
        recorder.url(`channel${id}`).replace("//", `//admin:${password}@`)
      yield* addRows(
        sql,
        ids.map((id) =>
          row(id, url(id, "Wr0ngSecret"), { options: { engine: engines[id % engines.length] } })
        )
      )
      const settings = settingsOf(dsn, sink.port, {
        probe: { perHost: 4, lockoutDelay: "8 seconds" }
      })
      const tree = yield* start(settings)
      for (const id of ids) yield* tree.awaitState(id, "Unreachable")
      // the first refusal may be about the channel; the second one is about the password
      yield* tree.until((all) =>
        [...all.values()].some(
          ({ state }) =>
            state._tag === "Unreachable" &&
            state.reason._tag === "Unauthorized" &&
            state.reason.refusedFor !== undefined
        )
      )
      assert.strictEqual(yield* recorder.authenticationFailures, 2)
      const reasons = (yield* tree.status.all).map(({ state }) =>
        state._tag === "Unreachable" && state.reason._tag === "Unauthorized"
          ? state.reason.refusedFor
          : state._tag
      )
      assert.lengthOf(
        reasons.filter((refusedFor) => refusedFor === "2"),
        14
      )
      yield* tree.log.awaitLine(
        /^Warn 16 cameras at .*: wrong user name or password; .*and 13 more$/
      )
      assert.notInclude(tree.log.lines().join(), "Wr0ngSecret")
      // the next attempt is another camera's
      yield* tree.until((cameras) => {
        const state = cameras.get("3")?.state
        return state?._tag === "Unreachable" && state.attempt === 1
      })
      assert.strictEqual(yield* recorder.authenticationFailures, 3)
      yield* sql`update cameras set url = replace(url, 'Wr0ngSecret', 'right')`
      for (const id of ids) yield* tree.awaitState(id, "Live")
      assert.strictEqual(yield* recorder.authenticationFailures, 3)
    })
  )

  /** Rows for channels of a recorder with one account, and a stream for each. */
  const channelsOf = Effect.fnUntraced(function* (
    recorder: RtspServer["Service"],
    ids: ReadonlyArray<number>
  ) {
    for (const id of ids) yield* TestPattern.publish(recorder, `channel${id}`)
    return ids.map((id) => row(id, recorder.url(`channel${id}`).replace("//", "//admin:right@")))
  })
  const account = { username: "admin", password: Redacted.make("right") }

  it.effect("a forbidden channel, the first of the table, holds up no other one", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const recorder = yield* RtspServer.make({
        authentication: account,
        settings: (path) =>
          path === "channel1" ? { quirks: { alwaysUnauthorized: true } } : undefined
      })
      const rows = yield* channelsOf(recorder, [1, 2, 3, 4, 5, 6])
      yield* addRows(sql, rows.slice(0, 1))
      const tree = yield* start(settingsOf(dsn, sink.port))
      yield* tree.awaitState(1, "Unreachable")
      // the others are inserted when it was refused already
      yield* addRows(sql, rows.slice(1))
      for (const id of [2, 3, 4, 5, 6]) yield* tree.awaitState(id, "Live")
      const { stdout } = yield* restream(["check", "--json"], { PG_DSN: Redacted.value(dsn) })
      const { cameras } = JSON.parse(stdout) as {
        cameras: ReadonlyArray<{ id: string; state: string }>
      }
      assert.deepStrictEqual(
        cameras.filter(({ state }) => state === "unreachable").map(({ id }) => id),
        ["1"]
      )
    })
  )

  it.effect(
    "cameras that drop together from a device that responds 401 when it is full are live again",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const sink = yield* RtspServer.make()
        const device = yield* RtspServer.make({
          authentication: account,
          sessions: { most: 3, status: 401, keepsLost: "3 seconds", endsKept: false }
        })
        yield* addRows(sql, yield* channelsOf(device, [1, 2, 3]))
        const tree = yield* start(
          settingsOf(dsn, sink.port, { relay: { restartDelay: "300 millis" } })
        )
        for (const id of [1, 2, 3]) yield* tree.awaitState(id, "Live")
        yield* device.dropConnections
        yield* tree.until((cameras) =>
          [...cameras.values()].some(
            ({ state }) => state._tag === "Unreachable" && state.reason._tag === "Unauthorized"
          )
        )
        for (const id of [1, 2, 3]) yield* tree.awaitState(id, "Live")
      })
  )

  for (const [status, at] of [
    [453, "SETUP"],
    [500, "SETUP"],
    [503, "DESCRIBE"]
  ] as const) {
    it.effect(
      `a device that responds ${status} to ${at} when it is full keeps its live cameras`,
      () =>
        Effect.gen(function* () {
          const { dsn, sql } = yield* database
          const sink = yield* RtspServer.make()
          const device = yield* RtspServer.make({ sessions: { most: 3, status, at } })
          const ids = [1, 2, 3, 4, 5]
          for (const id of ids) yield* TestPattern.publish(device, `channel${id}`)
          yield* addRows(
            sql,
            ids.map((id) => row(id, device.url(`channel${id}`)))
          )
          const tree = yield* start(
            settingsOf(dsn, sink.port, { probe: { retryDelays: ["200 millis"], jitter: 0 } })
          )
          const inState = (tag: CameraState.Tag, reason?: Reason.Reason["_tag"]) =>
            tree.history.length === 0
              ? []
              : ids.filter((id) => {
                  const state = tree.history.findLast((change) => change.id === idOf(id))?.to
                  return (
                    state?._tag === tag &&
                    (reason === undefined ||
                      (state._tag === "Unreachable" && state.reason._tag === reason))
                  )
                })
          yield* tree.until(
            () => inState("Live").length === 3 && inState("Unreachable", "DeviceFull").length === 2
          )
          const live = inState("Live")
          yield* tree.log.awaitLine(/the device serves no more sessions/)
          yield* sql`delete from cameras where id = ${live[0]!}`
          yield* tree.until(() => inState("Live").filter((id) => id !== live[0]).length === 3)
          // the others were left alone
          for (const id of live.slice(1)) {
            const changes = tree.history.filter((change) => change.id === idOf(id))
            assert.lengthOf(
              changes.filter(({ to }) => to?._tag === "Live"),
              1
            )
          }
        })
    )
  }

  it.effect(
    "a recorder gets one connection at a time, at the start and after its own restart",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        // a server that checks credentials takes its time, and the camera waits for PLAY meanwhile
        const sink = yield* RtspServer.make({
          settings: () => ({ quirks: { delays: { RECORD: "30 millis" } } })
        })
        const recorder = yield* RtspServer.make({
          resolve: () => "channel",
          sessions: { most: 64, starting: 1, status: 503 }
        })
        yield* TestPattern.publish(recorder, "channel")
        const events = yield* recorder.events
        const ids = Array.from({ length: 16 }, (_, index) => index + 1)
        yield* addRows(
          sql,
          ids.map((id) => row(id, recorder.url(`channel${id}`)))
        )
        const tree = yield* start(
          settingsOf(dsn, sink.port, { relay: { restartDelay: "300 millis" } })
        )
        const timesLive = (id: number) =>
          tree.history.filter((change) => change.id === idOf(id) && change.to?._tag === "Live")
            .length
        yield* tree.until(() => ids.every((id) => timesLive(id) === 1))
        yield* recorder.dropConnections
        yield* tree.until(() => ids.every((id) => timesLive(id) === 2))
        const rejections = (yield* PubSub.takeAll(events)).filter(
          (event) => event._tag === "Request" && event.status === 503
        )
        assert.lengthOf(rejections, 0)
      })
  )

  for (const [status, at] of [
    [453, "SETUP"],
    [503, "DESCRIBE"]
  ] as const) {
    it.effect(`sessions that a device keeps after a lost link are ended: ${status} to ${at}`, () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const sink = yield* RtspServer.make()
        const camera = yield* RtspServer.make({
          authentication: account,
          sessions: { most: 3, status, at, keepsLost: "1 hour" }
        })
        const events = yield* camera.events
        const ids = [1, 2, 3]
        yield* addRows(sql, yield* channelsOf(camera, ids))
        const tree = yield* start(
          settingsOf(dsn, sink.port, { relay: { restartDelay: "300 millis" } })
        )
        for (const id of ids) yield* tree.awaitState(id, "Live")
        yield* camera.dropConnections
        for (const id of ids) {
          yield* tree.until(
            () =>
              tree.history.filter((change) => change.id === idOf(id) && change.to?._tag === "Live")
                .length === 2
          )
        }
        assert.strictEqual(yield* camera.sessions, 3)
        const seen = yield* PubSub.takeAll(events)
        const teardowns = seen.filter(
          (event) => event._tag === "Request" && event.method === "TEARDOWN"
        )
        assert.deepStrictEqual(
          teardowns.map((event) => (event._tag === "Request" ? event.status : 0)),
          [200, 200, 200]
        )
      })
    )

    it.effect(`a session that a camera keeps to itself is waited for: ${status} to ${at}`, () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const sink = yield* RtspServer.make()
        const camera = yield* RtspServer.make({
          authentication: account,
          sessions: { most: 1, status, at, keepsLost: "3 seconds", endsKept: false }
        })
        yield* addRows(sql, yield* channelsOf(camera, [1]))
        const tree = yield* start(
          settingsOf(dsn, sink.port, {
            probe: { retryDelays: ["500 millis"], jitter: 0 },
            relay: { restartDelay: "300 millis" }
          })
        )
        yield* tree.awaitState(1, "Live")
        yield* camera.dropConnections
        const { reason } = yield* tree.awaitState(1, "Unreachable")
        assert.match(
          reason.message,
          /^the device serves no more sessions \(\d{3}\); it may keep the session of the lost connection for another \d\d s$/
        )
        yield* tree.awaitState(1, "Live")
      })
    )
  }

  it.effect("403 after a wrong password is a locked account, retried by the same schedule", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const camera = yield* RtspServer.make({ authentication: account })
      yield* TestPattern.publish(camera, "cam")
      yield* addRows(sql, [row(1, camera.url("cam").replace("//", "//admin:wrong@"))])
      const tree = yield* start(
        settingsOf(dsn, sink.port, {
          probe: { retryDelays: ["100 millis"], lockoutDelay: "1 second" }
        })
      )
      yield* tree.awaitState(1, "Unreachable")
      yield* camera.configure("cam", {
        authentication: null,
        quirks: { rejectWith: { DESCRIBE: 403 } }
      })
      const { reason } = yield* tree.awaitState(1, "Unreachable", ({ attempt }) => attempt === 3)
      assert.deepInclude({ ...reason }, { _tag: "Unauthorized", credentials: "locked" })
      const times = tree.history.flatMap(({ at, to }) => (to?._tag === "Probing" ? [at] : []))
      assert.isAtLeast(times[2]! - times[1]!, 990)
    })
  )

  it.effect("a wrong password costs one attempt, and a changed row is tried at once", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const cameras = yield* Effect.forEach(engines, (engine, index) =>
        Effect.gen(function* () {
          const authentication = { username: "admin", password: Redacted.make("right") }
          const server = yield* RtspServer.make({ authentication })
          yield* TestPattern.publish(server, "cam")
          const url = (password: string) => server.url("cam").replace("//", `//admin:${password}@`)
          return { id: index + 1, engine, server, url }
        })
      )
      yield* addRows(
        sql,
        cameras.map(({ engine, id, url }) => row(id, url("wrong"), { options: { engine } }))
      )
      const tree = yield* start(
        settingsOf(dsn, sink.port, { probe: { retryDelays: ["100 millis"] } })
      )
      for (const { id, server } of cameras) {
        const { attempt, reason, retryAt } = yield* tree.awaitState(id, "Unreachable")
        assert.deepInclude({ ...reason }, { _tag: "Unauthorized", credentials: "wrong" })
        assert.strictEqual(attempt, 1)
        assert.isAtLeast(retryAt - Date.now(), 4 * 60_000)
        assert.strictEqual(yield* server.authenticationFailures, 1)
      }
      // a change of what does not matter to the camera is no reason for another attempt
      yield* sql`update cameras set name = 'Renamed'`
      yield* tree
        .until((all) => [...all.values()].every(({ name }) => name === "Renamed"))
        .pipe(Effect.raceFirst(tree.log.awaitLine(/renamed 2 cameras/)))
      for (const { id, server, url } of cameras) {
        assert.strictEqual(yield* server.authenticationFailures, 1)
        yield* sql`update cameras set url = ${url("right")} where id = ${id}`
        yield* tree.awaitState(id, "Live")
        assert.strictEqual(yield* server.authenticationFailures, 1)
        yield* tree.log.awaitLine(Log.about(id, ": live"))
        assert.lengthOf(
          tree.log.matching(Log.about(id, "wrong user name or password; retrying in 5 min")),
          1
        )
        assert.lengthOf(tree.log.matching(Log.about(id, ": live")), 1)
      }
    })
  )

  it.effect("a wrong password is tried again after the lockout delay, and once each time", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const server = yield* RtspServer.make({
        authentication: { username: "admin", password: Redacted.make("right") }
      })
      const events = yield* server.events
      yield* TestPattern.publish(server, "cam")
      yield* addRows(sql, [row(1, server.url("cam").replace("//", "//admin:wrong@"))])
      const tree = yield* start(
        settingsOf(dsn, sink.port, {
          probe: { retryDelays: ["100 millis"], lockoutDelay: "1 second" }
        })
      )
      yield* tree.awaitState(1, "Unreachable", ({ attempt }) => attempt === 3)
      assert.strictEqual(yield* server.authenticationFailures, 3)
      const times = tree.history.flatMap(({ at, to }) => (to?._tag === "Probing" ? [at] : []))
      assert.isAtLeast(times[1]! - times[0]!, 1000)
      assert.lengthOf(tree.log.matching(/wrong user name or password/), 1)
      // each attempt is one connection
      const connections = (yield* PubSub.takeAll(events)).filter(({ _tag }) => _tag === "Connected")
      assert.lengthOf(connections, 3)
    })
  )

  it.effect("`restream check` names a wrong password, at the price of one attempt", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const server = yield* RtspServer.make({
        authentication: { username: "admin", password: Redacted.make("right") }
      })
      yield* TestPattern.publish(server, "cam")
      yield* addRows(sql, [row(1, server.url("cam").replace("//", "//admin:wrong@"))])
      const { code, stdout } = yield* restream(["check"], { PG_DSN: Redacted.value(dsn) })
      assert.strictEqual(code, 1)
      assert.match(stdout, /Camera 1 +url +unreachable +poor .*wrong user name or password/)
      assert.strictEqual(yield* server.authenticationFailures, 1)
      const json = yield* restream(["check", "--json"], { PG_DSN: Redacted.value(dsn) })
      assert.deepInclude(
        (JSON.parse(json.stdout) as { cameras: ReadonlyArray<object> }).cameras[0],
        {
          state: "unreachable",
          health: "poor",
          reason: { code: "Unauthorized", message: "wrong user name or password" }
        }
      )
    })
  )

  it.effect("cameras that do not respond delay no other camera", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const hole = yield* RtspServer.make({
        host: "0.0.0.0",
        settings: () => ({ quirks: { silentAt: "DESCRIBE" } })
      })
      // more than there are places, each a host of its own, and in front of the good ones
      const holes = Array.from({ length: 40 }, (_, n) =>
        row(n + 1, `rtsp://127.0.0.${n + 2}:${hole.port}/cam`)
      )
      const ids = Array.from({ length: 20 }, (_, n) => n + 101)
      const goodRows = yield* good(ids)
      const settings = settingsOf(dsn, sink.port, {
        // without it there would be places for all of them
        probe: { timeout: "1 minute", concurrency: 32 }
      })
      const liveAfter = (rows: ReadonlyArray<CameraRow>) =>
        Effect.gen(function* () {
          yield* sql`delete from cameras`
          yield* addRows(sql, rows)
          const tree = yield* start(settings)
          const [took] = yield* Effect.timed(
            tree.until((cameras) =>
              ids.every((id) => cameras.get(String(id))?.state._tag === "Live")
            )
          )
          return { tree, tookMs: Duration.toMillis(took) }
        })
      const alone = yield* Effect.scoped(liveAfter(goodRows))
      const beside = yield* liveAfter([...holes, ...goodRows])
      // not one of the silent ones has come to its end
      const states = new Set(
        (yield* beside.tree.status.all).map(({ id, state }) =>
          Number(id) > 100
            ? "good"
            : state._tag === "Probing"
              ? `attempt ${state.attempt}`
              : state._tag
        )
      )
      assert.deepStrictEqual([...states].toSorted(), ["attempt 1", "good"])
      console.log(
        `20 cameras live after ${Math.round(alone.tookMs)} ms alone, ${Math.round(beside.tookMs)} ms beside 40 silent ones`
      )
    })
  )
})
