/** Modules that add camera types, loaded by the built command. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Daemon from "../kit/Daemon.ts"
import { Postgres } from "../kit/Postgres.ts"
import { program } from "../kit/Program.ts"
import * as Site from "../kit/Site.ts"
import { run } from "../kit/Spawn.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-plugins-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** A camera type whose address is an object of `@restream/core`. */
const plugin = `import { CameraType, Column, StreamUrl } from "@restream/core"
export const cameraTypes = CameraType.make({
  name: "acme",
  columns: { host: Column.host, port: Column.port },
  toUrl: ({ host, port }) => new StreamUrl({ scheme: "rtsp", host, port, target: "/acme" })
})
`

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  for (const isInstalled of [true, false]) {
    it.effect(
      `a plugin may import @restream/core, which is ${isInstalled ? "" : "not "}installed beside it`,
      () =>
        Effect.gen(function* () {
          const path = yield* folder
          if (isInstalled) {
            mkdirSync(join(path, "node_modules/@restream"), { recursive: true })
            const core = new URL("../../packages/core", import.meta.url).pathname
            symlinkSync(core, join(path, "node_modules/@restream/core"))
          }
          writeFileSync(join(path, "acme.mjs"), plugin)
          const site = yield* Site.make
          const { port } = site.camera
          yield* site.insert([
            { name: "one", type: "acme", host: "127.0.0.1", port, path: "acme1" }
          ])
          yield* Daemon.start({
            cwd: path,
            env: { ...site.env, RESTREAM_PLUGINS: "./acme.mjs" }
          })
          yield* site.awaitLive(["acme1"])
        })
    )
  }

  it.effect.skipIf(process.getuid?.() !== 0)(
    "no command runs the programs of another user's restream.yaml, unless the file is named",
    () =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = yield* folder
          chmodSync(path, 0o777)
          writeFileSync(
            join(path, "evil.mjs"),
            'import { writeFileSync } from "node:fs"\nwriteFileSync("ran", "")\nexport default []\n'
          )
          const file = join(path, "restream.yaml")
          writeFileSync(file, "plugins: [./evil.mjs]\nffmpeg:\n  path: ./evil\n")
          chownSync(file, 65_534, 65_534)
          const env = { PG_DSN: "postgres://u:p@127.0.0.1:1/x" }
          for (const command of ["config", "check", "run"]) {
            const { code, stderr } = yield* run(process.execPath, [program, command], {
              cwd: path,
              env
            })
            assert.strictEqual(code, 2, stderr)
            assert.include(
              stderr,
              "plugins (from restream.yaml:1): restream.yaml belongs to another user (uid 65534); to run the programs that it names, pass --config restream.yaml"
            )
            assert.include(stderr, "ffmpeg.path (from restream.yaml:3): ")
          }
          assert.isFalse(existsSync(join(path, "ran")))
          const named = yield* run(
            process.execPath,
            [program, "config", "--config", "restream.yaml"],
            { cwd: path, env }
          )
          assert.strictEqual(named.code, 0, named.stderr)
          chownSync(file, 0, 0)
          const own = yield* run(process.execPath, [program, "config"], { cwd: path, env })
          assert.strictEqual(own.code, 0, own.stderr)
        })
      )
  )
})
