/** The commands of an operator where another daemon has the port of a worker. */
import { assert, layer } from "@effect/vitest"
import { freePort } from "@restream/core/testing"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"

layer(Layer.empty, { timeout: "60 seconds", excludeTestServices: true })((it) => {
  it.effect("they send it nothing, and name the worker; run --cluster completes their file", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-other-daemon-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      const cameras = join(folder, "cameras.yaml")
      writeFileSync(cameras, "- id: 1\n  name: Gate\n  url: rtsp://127.0.0.1:1/x\n", {
        mode: 0o600
      })
      const port = yield* freePort
      const daemon = yield* Daemon.start({
        env: {
          RESTREAM_SOURCE_FILE: cameras,
          RESTREAM_HTTP_ENABLED: "yes",
          RESTREAM_HTTP_PORT: String(port)
        }
      })
      yield* daemon.awaitSaid(/HTTP server listens/)

      // its port is that of worker 2; nothing has the port of worker 1
      const config = join(folder, "workers.yaml")
      writeFileSync(config, `cluster: { name: wk, workers: 2 }\nhttp: { port: ${port - 1} }\n`)
      const foreign = new RegExp(
        `worker wk-2: cannot be asked: a daemon that is not in the cluster listens on http://127.0.0.1:${port};`
      )
      for (const command of ["status", "retry 1", "restart 1"]) {
        const { code, stderr, stdout } = yield* restream([
          ...command.split(" "),
          "--config",
          config
        ])
        assert.deepStrictEqual([code, stdout], [2, ""], command)
        assert.match(stderr, foreign)
      }
      const run = yield* restream(["run", "--config", config, "--source-file", cameras])
      assert.strictEqual(run.code, 2)
      assert.match(run.stderr, /cluster\.workers \(from .*\): requires cluster\.enabled/)
    })
  )
})
