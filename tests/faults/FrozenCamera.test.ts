/** Cameras and relays that live and bring nothing. */
import { assert, describe, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { join } from "node:path"
import { isAlive, pidIn } from "../kit/Proc.ts"
import * as FakeBinary from "../kit/FakeBinary.ts"
import { Postgres } from "../kit/Postgres.ts"
import {
  addRows,
  database,
  idOf,
  type Installation,
  row,
  settingsOf,
  start
} from "../kit/Installation.ts"
import * as Log from "../kit/Log.ts"

const stallMs = 3000
const restartMs = 1000

const given = {
  relay: {
    stallTimeout: `${stallMs} millis`,
    restartDelay: `${restartMs} millis`,
    killGrace: "500 millis"
  }
}

/** What a loaded machine may add. */
const slackMs = 4000

const stallOf = (tree: Installation, id: number, since: number) =>
  Effect.gen(function* () {
    const { reason } = yield* tree.awaitState(id, "Restarting")
    const tookMs = Date.now() - since
    assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "input" })
    assert.isAtLeast(tookMs, stallMs * 0.9)
    assert.isBelow(tookMs, stallMs + slackMs)
    const status = yield* tree.status.get(idOf(id))
    assert.deepStrictEqual(status?.stalls, { total: 1, lastHour: 1 })
  })

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "a frozen stream",
  (it) => {
    describe.concurrent("in any of these ways", () => {
      for (const engine of ["native", "ffmpeg"] as const) {
        it.effect(`a camera that freezes is restarted within its time, by ${engine}`, () =>
          Effect.gen(function* () {
            const { dsn, sql } = yield* database
            const sink = yield* RtspServer.make()
            const tracks = ["all", "video"] as const
            const cameras = yield* Effect.forEach(tracks, (frozen, index) =>
              Effect.gen(function* () {
                const server = yield* RtspServer.make()
                yield* TestPattern.publish(server, "cam", { audio: true })
                return { id: index + 1, frozen, server }
              })
            )
            // the ffmpeg of a test must not transcode: sound that is copied goes on while the video stands
            yield* addRows(
              sql,
              cameras.map(({ id, server }) => row(id, server.url("cam"), { options: { engine } }))
            )
            const tree = yield* start(settingsOf(dsn, sink.port, given))
            yield* Effect.forEach(
              cameras,
              ({ frozen, id, server }) =>
                Effect.gen(function* () {
                  yield* tree.awaitState(id, "Live")
                  const frozenAt = Date.now()
                  yield* server.freeze("cam", frozen)
                  yield* stallOf(tree, id, frozenAt)
                  yield* server.thaw("cam")
                  yield* tree.awaitState(id, "Live")
                  assert.isBelow(Date.now() - frozenAt, stallMs + restartMs + 2 * slackMs)
                  // the one before was gone first
                  assert.strictEqual((yield* sink.path(`cam${id}`))?.publishers, 2)
                  yield* tree.log.awaitLine(Log.about(id, ": live: "), 2)
                  const lines = tree.log.matching(Log.about(id))
                  assert.lengthOf(lines, 3)
                  assert.match(
                    lines[1]!,
                    /relay ended: no video from the camera for [\d.]+ s; restarting in 1 s/
                  )
                  assert.match(
                    lines[2]!,
                    /: live: .*health good: 1 restart, 1 stall in the last hour/
                  )
                }),
              { concurrency: "unbounded" }
            )
          })
        )
      }

      it.effect(
        "a camera that responds to PLAY and sends nothing is not live, and is retried",
        () =>
          Effect.gen(function* () {
            const { dsn, sql } = yield* database
            const sink = yield* RtspServer.make()
            const server = yield* RtspServer.make()
            yield* TestPattern.publish(server, "cam")
            yield* server.freeze("cam", "all")
            yield* addRows(sql, [row(1, server.url("cam"), { options: { engine: "native" } })])
            // the first video may take as long as opening the camera
            const tree = yield* start(
              settingsOf(dsn, sink.port, { ...given, probe: { timeout: given.relay.stallTimeout } })
            )
            yield* tree.awaitState(1, "Starting")
            yield* stallOf(tree, 1, Date.now())
            yield* server.thaw("cam")
            yield* tree.awaitState(1, "Live")
            yield* tree.log.awaitLine(Log.about(1, ": live: "))
            assert.lengthOf(tree.log.matching(Log.about(1)), 2)
          })
      )

      it.effect("an ffmpeg that runs without output is killed and restarted", () =>
        Effect.gen(function* () {
          const { dsn, sql } = yield* database
          const sink = yield* RtspServer.make()
          const server = yield* RtspServer.make()
          yield* TestPattern.publish(server, "cam")
          // it shows progress, falls silent, and is deaf to TERM; the next one is not asked to be better
          const { folder, program } = yield* FakeBinary.make(
            `trap '' TERM\nprintf 'frame=1\\nprogress=continue\\n' >&3\nexec sleep 300`
          )
          yield* addRows(sql, [row(1, server.url("cam"), { options: { engine: "ffmpeg" } })])
          const tree = yield* start(
            settingsOf(dsn, sink.port, { ...given, ffmpeg: { path: program } })
          )
          yield* tree.awaitState(1, "Live")
          const since = Date.now()
          const pid = yield* pidIn(join(folder, "pid"))
          yield* stallOf(tree, 1, since)
          // told only once it was gone
          assert.isFalse(isAlive(pid))
          yield* tree.awaitState(1, "Live")
          assert.notStrictEqual(yield* pidIn(join(folder, "pid")), pid)
        })
      )
    })
  }
)
