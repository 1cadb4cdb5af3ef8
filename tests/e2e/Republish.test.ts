import { assert, describe, layer } from "@effect/vitest"
import { freePort, RtspServer, type ServerEvent, TestPattern } from "@restream/core/testing"
import { Duration, Effect, Exit, PubSub, Scope } from "effect"
import { childrenOf, commandOf } from "../kit/Proc.ts"
import { Postgres } from "../kit/Postgres.ts"
import { type Running } from "../kit/Spawn.ts"
import { publishWithFfmpeg, readFrames } from "../rtsp/Peers.ts"
import * as Site from "../kit/Site.ts"

const engines = ["native", "ffmpeg"] as const

/** The daemon with one engine, and all around it. */
const withDaemon = <A, E>(
  engine: (typeof engines)[number],
  test: (
    installation: Site.InstalledSite & { readonly daemon: Running }
  ) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const installation = yield* Site.asInstalled
    const daemon = yield* installation.startDaemon([], { RESTREAM_CAMERA_ENGINE: engine })
    yield* installation.awaitReady(daemon)
    return yield* test({ ...installation, daemon })
  }).pipe(Effect.scoped)

/** The next event that matches. */
const next = (events: PubSub.Subscription<ServerEvent>, matches: (event: ServerEvent) => boolean) =>
  PubSub.take(events).pipe(Effect.repeat({ until: matches }))

const isPublishing = (event: ServerEvent) => event._tag === "Publishing"
const publisherEnded = (event: ServerEvent) => event._tag === "Ended" && event.was === "publisher"

/** Kills the daemon's only ffmpeg. */
const killRelay = (daemon: Running) =>
  Effect.sync(() => {
    const relays = childrenOf(daemon.process.pid!).filter((pid) =>
      commandOf(pid).some((word) => word.endsWith("ffmpeg"))
    )
    assert.strictEqual(relays.length, 1)
    process.kill(relays[0]!, "SIGKILL")
  })

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "republishing",
  (it) => {
    describe.each(engines)("by the %s engine", (engine) => {
      it.effect("a row makes a stream that anyone can decode, and its end ends it", () =>
        withDaemon(engine, ({ cameras, mediaServer, sql }) =>
          Effect.gen(function* () {
            const url = cameras.url("cam1")
            yield* sql`insert into cameras ${sql.insert({ name: "Gate", url })}`
            yield* mediaServer.awaitPackets("cam1")
            const { code, stderr, stdout } = yield* readFrames(mediaServer.url("cam1"), 10)
            assert.deepStrictEqual([code, stderr], [0, ""])
            assert.include(stdout, "#dimensions 0: 64x64")
            const pictures = stdout.split("\n").filter((line) => line.startsWith("0,"))
            assert.strictEqual(pictures.length, 10)
            assert.include(stdout, "#sample_rate 1: 8000")

            yield* sql`delete from cameras`
            yield* mediaServer.awaitNoPublisher("cam1")
            yield* cameras.awaitReaders("cam1", 0)
          })
        )
      )

      it.effect("a changed address publishes the new video, after the old relay has ended", () =>
        withDaemon(engine, ({ cameras, mediaServer, sql }) =>
          Effect.gen(function* () {
            yield* publishWithFfmpeg(cameras.url("other"), { audio: false })
            yield* cameras.awaitPackets("other")
            const url = cameras.url("cam1")
            yield* sql`insert into cameras ${sql.insert({ url, path: "gate" })}`
            yield* mediaServer.awaitPackets("gate")
            const before = yield* readFrames(mediaServer.url("gate"), 1)
            assert.include(before.stdout, "#dimensions 0: 64x64")

            const events = yield* mediaServer.events
            yield* sql`update cameras set url = ${cameras.url("other")}`
            yield* next(events, publisherEnded)
            yield* next(events, isPublishing)
            assert.strictEqual((yield* cameras.path("cam1"))?.readers.length, 0)
            const after = yield* readFrames(mediaServer.url("gate"), 1)
            assert.include(after.stdout, "#dimensions 0: 320x180")
          })
        )
      )

      it.effect("a relay that ends is back after 5 s, and not before", () =>
        withDaemon(engine, ({ cameras, daemon, mediaServer, sql }) =>
          Effect.gen(function* () {
            const power = yield* Scope.make()
            yield* TestPattern.publish(cameras, "flaky").pipe(Scope.provide(power))
            const events = yield* mediaServer.events
            yield* sql`insert into cameras ${sql.insert({ url: cameras.url("flaky") })}`
            yield* next(events, isPublishing)
            yield* daemon.awaitSaid(/live: h264/)
            if (engine === "ffmpeg") yield* killRelay(daemon)
            else {
              yield* Scope.close(power, Exit.void)
              yield* TestPattern.publish(cameras, "flaky")
            }
            yield* next(events, publisherEnded)
            const [waited] = yield* Effect.timed(next(events, isPublishing))
            // the first event may have been seen a little late
            assert.isAtLeast(Duration.toMillis(waited), 4900)
          })
        )
      )

      it.effect("a camera that is down at the start is live soon after it comes up", () =>
        withDaemon(engine, ({ daemon, mediaServer, sql }) =>
          Effect.gen(function* () {
            const port = yield* freePort
            yield* sql`insert into cameras ${sql.insert({ url: `rtsp://127.0.0.1:${port}/cam` })}`
            yield* daemon.awaitSaid(/unreachable.*refused/)
            const camera = yield* RtspServer.make({ port })
            yield* TestPattern.publish(camera, "cam")
            yield* mediaServer.awaitPackets("cam1")
          })
        )
      )
    })

    it.effect("a camera is relayed only while it is enabled", () =>
      withDaemon("native", ({ cameras, mediaServer, sql }) =>
        Effect.gen(function* () {
          const url = cameras.url("cam1")
          yield* sql`insert into cameras ${sql.insert([
            { url, enabled: false },
            { url, enabled: true }
          ])}`
          yield* mediaServer.awaitPackets("cam2")
          assert.isUndefined(yield* mediaServer.path("cam1"))
          yield* sql`update cameras set enabled = not enabled`
          yield* mediaServer.awaitPackets("cam1")
          yield* mediaServer.awaitNoPublisher("cam2")
        })
      )
    )

    it.effect("a changed name restarts nothing", () =>
      withDaemon("native", ({ cameras, mediaServer, sql }) =>
        Effect.gen(function* () {
          const url = cameras.url("cam1")
          yield* sql`insert into cameras ${sql.insert({ name: "Gate", url })}`
          yield* mediaServer.awaitPackets("cam1")
          yield* sql`update cameras set name = 'Yard'`
          // the snapshot that brings the second camera has the first one's name in it
          yield* sql`insert into cameras ${sql.insert({ url })}`
          yield* mediaServer.awaitPackets("cam2")
          assert.strictEqual((yield* mediaServer.path("cam1"))?.publishers, 1)
          yield* sql`update cameras set url = ${`${url}?x`} where id = 1`
          yield* mediaServer.awaitNoPublisher("cam1")
          yield* mediaServer.awaitPublisher("cam1")
          assert.strictEqual((yield* mediaServer.path("cam1"))?.publishers, 2)
        })
      )
    )

    it.effect("an invalid row affects only its camera, and is logged", () =>
      withDaemon("native", ({ cameras, daemon, mediaServer, sql }) =>
        Effect.gen(function* () {
          const url = cameras.url("cam1")
          yield* sql`insert into cameras ${sql.insert([
            { name: "Typo", type: "hikvison", url: null },
            { name: "Good", type: "url", url },
            { name: "Nowhere", type: "url", url: null }
          ])}`
          yield* mediaServer.awaitPackets("cam2")
          yield* daemon.awaitSaid(/camera 1 .*Typo.*hikvison.*hikvision/)
          yield* daemon.awaitSaid(/camera 3 .*Nowhere.*url/)
        })
      )
    )

    it.effect.skipIf(process.platform !== "linux")(
      "a daemon keeps V8's young generation small",
      () =>
        withDaemon("native", ({ daemon }) =>
          Effect.sync(() => {
            assert.include(commandOf(daemon.process.pid!), "--max-semi-space-size=16")
          })
        )
    )

    it.effect("the environment beats the flag", () =>
      Effect.gen(function* () {
        const { cameras, mediaServer, sql, startDaemon } = yield* Site.asInstalled
        yield* sql`insert into cameras ${sql.insert({ url: cameras.url("cam1") })}`
        yield* startDaemon([
          "--pg_dsn",
          "postgres://nobody@127.0.0.1:1/nothing",
          "--media-server-port",
          "1"
        ])
        yield* mediaServer.awaitPackets("cam1")
      })
    )

    it.effect("a view is enough, with no right to write", () =>
      Effect.gen(function* () {
        const { cameras, dsn, mediaServer, sql, startDaemon } = yield* Site.asInstalled
        yield* sql`create table devices (number text, title text, location text, active boolean)`
        yield* sql`insert into devices ${sql.insert({
          number: "A-7",
          title: "Gate",
          location: cameras.url("cam1"),
          active: true
        })}`
        const reader = `reader_${new URL(dsn).pathname.slice(1)}`
        yield* sql.unsafe(`create role ${reader} login password 'r'`)
        yield* sql.unsafe(`grant select on devices to ${reader}`)
        const address = new URL(dsn)
        address.username = reader
        address.password = "r"
        yield* startDaemon([], {
          PG_DSN: address.href,
          RESTREAM_DATABASE_QUERY:
            "select number as id, title as name, location as url, active as enabled from devices"
        })
        yield* mediaServer.awaitPackets("camA-7")
      })
    )
  }
)
