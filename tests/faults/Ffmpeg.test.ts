/**
 * An ffmpeg that can't be run, as the whole tree tells of it. What single bad programs do to a relay or a
 * probe stands in `tests/engine/ffmpeg/BadPrograms.test.ts`.
 */
import { assert, describe, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { chmodSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { anyFfmpeg } from "../engine/ffmpeg/Binaries.ts"
import * as FakeBinary from "../kit/FakeBinary.ts"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, row, settingsOf, start } from "../kit/Installation.ts"

/** How a program can be wrong, and what the log says of it. */
const programs: ReadonlyArray<readonly [string, (path: string) => void, RegExp]> = [
  ["missing", () => {}, /cannot start: there is no program \S+\/ffmpeg; ffmpeg.path says where/],
  [
    "not executable",
    (path) => {
      FakeBinary.write(path, "exit 0")
      chmodSync(path, 0o644)
    },
    /cannot start: \S+\/ffmpeg is not executable for us; see ffmpeg.path/
  ],
  [
    "crashing at once",
    (path) => FakeBinary.write(path, "echo '[error] no luck' >&2; exit 9"),
    /process exited with code 9: no luck/
  ]
]

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("ffmpeg", (it) => {
  describe.concurrent("being", () => {
    for (const [what, spoil, words] of programs) {
      it.effect(
        `${what} is logged once, affects no native camera, and is resolved once it is corrected`,
        () =>
          Effect.gen(function* () {
            const { dsn, sql } = yield* database
            const sink = yield* RtspServer.make()
            const camera = yield* RtspServer.make()
            yield* TestPattern.publish(camera, "cam")
            const path = join(yield* FakeBinary.folder, "ffmpeg")
            spoil(path)
            yield* addRows(sql, [
              row(1, camera.url("cam"), { options: { engine: "ffmpeg" } }),
              row(2, camera.url("cam"), { options: { engine: "native" } })
            ])
            const tree = yield* start(
              settingsOf(dsn, sink.port, {
                ffmpeg: { path },
                relay: { restartDelay: "200 millis", restartBackoff: false }
              })
            )
            yield* tree.until((all) => (all.get("1")?.restarts.total ?? 0) >= 4)
            yield* tree.log.awaitLine(/camera 1 /)
            const told = tree.log.matching(/camera 1 /)
            assert.lengthOf(told, 1, told.join("\n"))
            assert.match(told[0]!, words)
            yield* tree.awaitState(2, "Live")
            assert.strictEqual((yield* sink.path("cam2"))?.publishers, 1)

            rmSync(path, { force: true })
            writeFileSync(path, `#!/bin/sh\nexec ${anyFfmpeg} "$@"\n`, { mode: 0o755 })
            yield* tree.awaitState(1, "Live")
            yield* tree.log.awaitLine(/camera 1 .*: live/)
            assert.lengthOf(tree.log.matching(/camera 1 /), 2)
          })
      )
    }
  })
})
