/** A camera that comes back from a reboot with other settings. */
import { assert, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Scope } from "effect"
import { ffprobes } from "../engine/ffmpeg/Binaries.ts"
import { run, start as startProgram } from "../kit/Spawn.ts"
import { ffmpeg } from "../rtsp/Peers.ts"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, row, settingsOf, start } from "../kit/Installation.ts"

/** What an independent reader finds at an address. */
const tracksAt = (url: string) =>
  Effect.map(
    run(ffprobes[0]!.path, [
      ..."-v error -rtsp_transport tcp -show_entries stream=codec_name,width -of json".split(" "),
      url
    ]),
    ({ stdout }) =>
      (
        JSON.parse(stdout) as {
          streams: ReadonlyArray<{ readonly codec_name: string; readonly width?: number }>
        }
      ).streams.map(
        ({ codec_name, width }) => `${codec_name}${width === undefined ? "" : ` ${width}`}`
      )
  )

/** H.265 with AAC: other video and other sound than the test pattern's. */
const publishHevc = (url: string) =>
  startProgram(ffmpeg, [
    ..."-nostdin -loglevel error -re -f lavfi -i testsrc=size=320x180:rate=10".split(" "),
    ..."-f lavfi -i sine=sample_rate=44100 -c:v libx265 -preset ultrafast".split(" "),
    ..."-x265-params keyint=10:log-level=none -pix_fmt yuv420p -c:a aac".split(" "),
    ..."-f rtsp -rtsp_transport tcp".split(" "),
    url
  ])

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("a camera", (it) => {
  it.effect("a camera that comes back with other tracks is relayed with these", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const sink = yield* RtspServer.make()
      const camera = yield* RtspServer.make()
      const engines = ["native", "ffmpeg"] as const
      yield* addRows(
        sql,
        engines.map((engine, n) =>
          row(n + 1, camera.url("cam"), { options: { engine, audio: "copy" } })
        )
      )
      const before = yield* Scope.make()
      yield* Scope.provide(TestPattern.publish(camera, "cam"), before)
      const tree = yield* start(
        settingsOf(dsn, sink.port, {
          relay: { restartDelay: "1 second" },
          probe: { retryDelays: ["500 millis"] }
        })
      )
      for (const id of [1, 2]) {
        yield* tree.awaitState(id, "Live")
        assert.deepStrictEqual(
          (yield* sink.path(`cam${id}`))?.publisher?.tracks.map(({ codec }) => codec),
          ["h264"]
        )
      }
      yield* Scope.close(before, Exit.void)
      yield* tree.until((all) => [...all.values()].every(({ state }) => state._tag !== "Live"))
      yield* publishHevc(camera.url("cam"))
      for (const id of [1, 2]) {
        const { offer } = yield* tree.awaitState(id, "Live")
        assert.strictEqual(offer.video.codec, "hevc")
        assert.strictEqual(offer.audio?.codec, "aac")
        assert.deepStrictEqual(
          (yield* sink.path(`cam${id}`))?.publisher?.tracks.map(({ codec }) => codec),
          ["hevc", "aac"]
        )
        assert.deepStrictEqual(yield* tracksAt(sink.url(`cam${id}`)), ["hevc 320", "aac"])
        const lines = tree.log.matching(new RegExp(`camera ${id} .*: live`))
        assert.lengthOf(lines, 2)
        assert.match(lines[0]!, /h264 64x64, no audio/)
        assert.match(lines[1]!, /hevc( 320x180)? \+ aac/)
        const changed = new RegExp(`camera ${id} .*: tracks changed from h264 to hevc \\+ aac`)
        assert.lengthOf(tree.log.matching(changed), 1)
      }
    })
  )
})
