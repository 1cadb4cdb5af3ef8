import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Postgres } from "../kit/Postgres.ts"
import { restream } from "../kit/Command.ts"
import * as Site from "../kit/Site.ts"

const dist = fileURLToPath(new URL("../../packages/cli/dist/", import.meta.url))

/** Present in the bundle wherever the RTSP server, the test pattern or the embedded PostgreSQL is. */
const testKit = /class RtspServer\b|class RtspServerError\b|class EmbeddedPostgresError\b/

/** The files of the bundle that a process loaded, by V8's coverage report. */
const loadedFiles = (reports: string): ReadonlyArray<string> =>
  [
    ...new Set(
      readdirSync(reports).flatMap((file) => {
        const { result } = JSON.parse(readFileSync(join(reports, file), "utf8")) as {
          readonly result: ReadonlyArray<{ readonly url: string }>
        }
        return result.flatMap(({ url }) => (url.startsWith("file:") ? [fileURLToPath(url)] : []))
      })
    )
  ].filter((file) => file.startsWith(dist))

const reportsFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-coverage-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const assertWithoutTestKit = (reports: string): void => {
  const files = loadedFiles(reports)
  assert.isTrue(files.some((file) => file.endsWith("restream-main.js")))
  assert.deepStrictEqual(
    files.filter((file) => testKit.test(readFileSync(file, "utf8"))),
    []
  )
}

describe("the bundle", () => {
  it("keeps the test kit in the files of the demo", () => {
    const files = readdirSync(dist).filter((file) => /^restream.*\.js$/.test(file))
    assert.deepStrictEqual(
      files.filter((file) => testKit.test(readFileSync(join(dist, file), "utf8"))),
      ["restream-RunDemo.js"]
    )
  })
})

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "restream run and restream check",
  (it) => {
    it.effect("do not load the test kit", () =>
      Effect.gen(function* () {
        const { cameras, env, mediaServer, sql, startDaemon } = yield* Site.asInstalled
        yield* sql`insert into cameras ${sql.insert({ name: "Gate", url: cameras.url("cam1") })}`

        const reportsOfCheck = yield* reportsFolder
        const check = yield* restream(["check"], {
          ...env,
          NODE_V8_COVERAGE: reportsOfCheck
        })
        assert.strictEqual(check.code, 0)
        assertWithoutTestKit(reportsOfCheck)

        const reportsOfRun = yield* reportsFolder
        const daemon = yield* startDaemon([], { NODE_V8_COVERAGE: reportsOfRun })
        yield* mediaServer.awaitPackets("cam1")
        daemon.process.kill("SIGTERM")
        yield* daemon.ended
        assertWithoutTestKit(reportsOfRun)
      })
    )
  }
)
