/** A media server that is away, stands still, or does not want what it is given. */
import { assert, describe, layer } from "@effect/vitest"
import { freePort, type LocalPublisher, RtspServer, TestPattern } from "@restream/core/testing"
import { Duration, Effect, Exit, PubSub, Redacted, Scope } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, idOf, row, settingsOf, start } from "../kit/Installation.ts"
import * as Log from "../kit/Log.ts"
import * as MediaServerProcess from "./MediaServerProcess.ts"

const tags = (tree: { readonly status: import("@restream/core").StatusStore["Service"] }) =>
  Effect.map(tree.status.countByState, (counts) => counts as Record<string, number | undefined>)

/** Which of the delays of the settings it is: the time between two readings of the clock is missing in it. */
const nearest = (ms: number, ...delays: ReadonlyArray<number>): number =>
  delays.reduce((best, delay) => (Math.abs(delay - ms) < Math.abs(best - ms) ? delay : best))

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "a media server",
  (it) => {
    it.effect(
      "is stopped and started again with 100 cameras, which are not probed meanwhile",
      () =>
        Effect.gen(function* () {
          const { dsn, sql } = yield* database
          const port = yield* freePort
          const cameras = yield* RtspServer.make({ resolve: () => "cam" })
          yield* TestPattern.publish(cameras, "cam", { frameRate: 5 })
          const ids = Array.from({ length: 100 }, (_, n) => n + 1)
          yield* addRows(
            sql,
            ids.map((id) => row(id, cameras.url(`cam?${id}`), { options: { engine: "native" } }))
          )
          const first = yield* Scope.make()
          yield* Scope.provide(RtspServer.make({ port }), first)
          const tree = yield* start(
            settingsOf(dsn, port, {
              mediaServer: { checkInterval: "1 second", checkTimeout: "1 second" },
              // all of them could start at one moment, were it not for the pacing
              probe: { perHost: 100, concurrency: 100 },
              relay: { restartDelay: "1 second", startSpacing: "30 millis" }
            })
          )
          yield* tree.until(
            (all) =>
              all.size === 100 && [...all.values()].every(({ state }) => state._tag === "Live")
          )

          yield* Scope.close(first, Exit.void)
          yield* tree.until((all) =>
            [...all.values()].every(
              ({ state }) => state._tag === "Waiting" && state.for === "media server"
            )
          )
          yield* cameras.awaitConnections(0)
          const touched = yield* cameras.events
          // without the wait they would have been tried again after a second
          yield* Effect.sleep("4 seconds")
          assert.lengthOf(yield* PubSub.takeUpTo(touched, 1000), 0)
          assert.deepStrictEqual(yield* tags(tree), { Waiting: 100 })

          const second = yield* RtspServer.make({ port })
          const events = yield* second.events
          const [took] = yield* Effect.timed(
            tree.until((all) => [...all.values()].every(({ state }) => state._tag === "Live"))
          )
          // the gaps between them are half of the spacing at least
          const starts = tree.history
            .filter(({ to }) => to?._tag === "Starting")
            .slice(-100)
            .map(({ at }) => at)
          assert.isAtLeast(starts.at(-1)! - starts[0]!, 99 * 30 * 0.5)
          const publishing = (yield* PubSub.takeAll(events)).filter(
            ({ _tag }) => _tag === "Publishing"
          )
          assert.lengthOf(publishing, 100)
          console.log(
            `100 cameras live ${Math.round(Duration.toMillis(took))} ms after the media server was back`
          )

          assert.lengthOf(
            tree.log.matching(/media server .*; cameras that are not live wait for it/),
            1
          )
          assert.lengthOf(tree.log.matching(/media server .* is reachable again after/), 1)
        }),
      120_000
    )

    describe.concurrent("in one of these cases", () => {
      it.effect("is unreachable at the start, and no camera is probed meanwhile", () =>
        Effect.gen(function* () {
          const { dsn, sql } = yield* database
          const port = yield* freePort
          const camera = yield* RtspServer.make()
          yield* TestPattern.publish(camera, "cam")
          yield* addRows(sql, [row(1, camera.url("cam"))])
          const touched = yield* camera.events
          const tree = yield* start(settingsOf(dsn, port))
          yield* tree.awaitState(1, "Waiting", (state) => state.for === "media server")
          yield* tree.log.awaitLine(/media server .*connection refused/)
          yield* Effect.sleep("2 seconds")
          assert.lengthOf(yield* PubSub.takeUpTo(touched, 10), 0)
          yield* RtspServer.make({ port })
          yield* tree.awaitState(1, "Live")
          assert.lengthOf(tree.log.matching(/media server/), 2)
        })
      )

      for (const engine of ["native", "ffmpeg"] as const) {
        it.effect(
          `is suspended, and its relays are ended and restarted when it resumes, by ${engine}`,
          () =>
            Effect.gen(function* () {
              const { dsn, sql } = yield* database
              const sink = yield* MediaServerProcess.make
              const camera = yield* RtspServer.make()
              // ffmpeg asks the server nothing: the kernel's buffers must be full before it notices
              yield* TestPattern.publish(
                camera,
                "cam",
                engine === "ffmpeg" ? { frameRate: 25, fillerBytes: 250_000 } : {}
              )
              yield* addRows(sql, [row(1, camera.url("cam"), { options: { engine } })])
              const tree = yield* start(
                settingsOf(dsn, sink.port, {
                  mediaServer: { checkInterval: "1 second", checkTimeout: "1 second" },
                  relay: {
                    stallTimeout: "3 seconds",
                    restartDelay: "1 second",
                    killGrace: "500 millis"
                  }
                })
              )
              yield* tree.awaitState(1, "Live")
              // the native relay asks on its own connection, and must have had an answer once: it asks
              // again only after that
              if (engine === "native") yield* sink.awaitSaid(/OPTIONS cam1[^]*OPTIONS cam1/)
              yield* Effect.acquireRelease(
                Effect.sync(() => process.kill(sink.pid, "SIGSTOP")),
                () => Effect.sync(() => process.kill(sink.pid, "SIGCONT"))
              )
              const { reason } = yield* tree.awaitState(1, "Restarting")
              assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "output" })
              // its end did not wait for the server: the relay is gone, and the camera is not touched
              yield* tree.awaitState(1, "Waiting", (state) => state.for === "media server")
              yield* camera.awaitConnections(0)
              process.kill(sink.pid, "SIGCONT")
              yield* tree.awaitState(1, "Live")
              assert.lengthOf(
                tree.log.matching(/camera 1 .*the media server accepted no data for/),
                1
              )
              assert.lengthOf(tree.log.matching(/media server .*no response within 1 s/), 1)
              assert.lengthOf(tree.log.matching(/media server .*reachable again after/), 1)
            })
        )
      }

      for (const engine of ["native", "ffmpeg"] as const) {
        it.effect(
          `rejects a path, or requires a password, which is logged once, by ${engine}`,
          () =>
            Effect.gen(function* () {
              const { dsn, sql } = yield* database
              const authentication = { username: "relay", password: Redacted.make("right") }
              const sink = yield* RtspServer.make({
                settings: (path) =>
                  path === "cam1"
                    ? { quirks: { rejectWith: { ANNOUNCE: 400 } } }
                    : path === "cam2"
                      ? { authentication }
                      : undefined
              })
              const camera = yield* RtspServer.make()
              yield* TestPattern.publish(camera, "cam")
              yield* addRows(
                sql,
                [1, 2, 3].map((id) => row(id, camera.url("cam"), { options: { engine } }))
              )
              const tree = yield* start(
                settingsOf(dsn, sink.port, {
                  mediaServer: { username: "relay", password: "wrong" },
                  relay: { rejectedDelay: "800 millis", restartDelay: "100 millis" }
                })
              )
              const rejected = { 1: "ServerRejected", 2: "ServerUnauthorized" } as const
              for (const id of [1, 2] as const) {
                yield* tree.until((all) => (all.get(String(id))?.restarts.total ?? 0) >= 3)
                const ends = tree.history.flatMap(({ at, id: of, to }) =>
                  of === idOf(id) && to?._tag === "Restarting"
                    ? [{ reason: to.reason, waitsMs: to.at - at }]
                    : []
                )
                for (const { reason, waitsMs } of ends) {
                  assert.strictEqual(reason._tag, rejected[id])
                  assert.strictEqual(nearest(waitsMs, 100, 800), 800)
                }
                assert.lengthOf(tree.log.matching(new RegExp(`camera ${id} `)), 1)
              }
              assert.strictEqual((yield* tree.status.get(idOf(3)))?.state._tag, "Live")
              yield* sink.configure("cam1", {})
              yield* sink.configure("cam2", {})
              for (const id of [1, 2]) {
                yield* tree.awaitState(id, "Live")
                assert.lengthOf(tree.log.matching(new RegExp(`camera ${id} `)), 2)
              }
            })
        )
      }

      it.effect("gives the path to another publisher repeatedly, which is logged once", () =>
        Effect.gen(function* () {
          const { dsn, sql } = yield* database
          const sink = yield* RtspServer.make()
          const events = yield* sink.events
          const camera = yield* RtspServer.make()
          yield* TestPattern.publish(camera, "cam")
          yield* addRows(sql, [row(1, camera.url("cam"), { options: { engine: "native" } })])
          const tree = yield* start(
            settingsOf(dsn, sink.port, {
              relay: { rejectedDelay: "700 millis", restartDelay: "200 millis" }
            })
          )
          // somebody else who wants the same path, and takes it each time that we are live on it
          let rival: LocalPublisher | undefined
          for (let n = 1; n <= 5; n++) {
            yield* tree.awaitState(1, "Live")
            rival = yield* sink.publish("cam1", TestPattern.description())
            yield* tree.awaitState(1, "Restarting")
          }
          void rival
          const ends = tree.history.flatMap(({ at, to }) =>
            to?._tag === "Restarting" ? [{ tag: to.reason._tag, waitsMs: to.at - at }] : []
          )
          assert.deepStrictEqual(
            ends.map(({ tag }) => tag),
            Array.from({ length: 5 }, () => "PublisherReplaced")
          )
          // the first restart is as soon as after any end; a fight for the path makes both streams fail
          const [first, ...later] = ends
          assert.strictEqual(nearest(first!.waitsMs, 200, 700), 200)
          for (const { waitsMs } of later) assert.strictEqual(nearest(waitsMs, 200, 700), 700)
          yield* tree.awaitState(1, "Live")
          const lines = tree.log.matching(Log.about(1))
          assert.lengthOf(lines, 4, lines.join("\n"))
          assert.lengthOf(tree.log.matching(/another publisher may have taken the path/), 2)
          assert.match(lines[3]!, /flapping; further messages suppressed until it is stable/)
          void events
        })
      )
    })
  }
)
