/** The daemon as a process: readers of its output that stop, signals that Node gives a meaning, process id 1. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Proc from "../kit/Proc.ts"
import { program } from "../kit/Program.ts"
import * as Site from "../kit/Site.ts"
import { run, start } from "../kit/Spawn.ts"

const hasPython = spawnSync("python3", ["--version"]).status === 0
const namespaces = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
const hasNamespaces = spawnSync(namespaces[0]!, [...namespaces.slice(1), "true"]).status === 0

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect.skipIf(!hasPython)(
    `a terminal that is not read stalls nothing${hasPython ? "" : " (skipped: no python3 here)"}`,
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const paths = yield* site.insertCameras("native", 3)
        const terminal = new URL("frozen-terminal.py", import.meta.url).pathname
        const python = yield* start("python3", [terminal, process.execPath, program, "run"], {
          env: site.env
        })
        const pid = Number(yield* python.awaitSaid(/\d+/))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => Proc.isAlive(pid) && process.kill(pid, "SIGKILL"))
        )
        yield* site.awaitLive(paths)
        // each change writes a line of 24 kB, and a terminal holds less than 64 kB
        for (let round = 0; round < 6; round++) {
          yield* site.sql`update cameras set name = repeat(${String(round)}, 8000),
              path = ${`round${round}-`} || id`
          yield* site.awaitLive([1, 2, 3].map((id) => `round${round}-${id}`))
        }
        process.kill(pid, "SIGTERM")
        yield* until("the end of the daemon", () => !Proc.runs(pid))
      })
  )

  it.effect("SIGUSR1 opens no debugger", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({ env: site.env })
      yield* site.awaitLive(paths)
      yield* daemon.signal("SIGUSR1")
      yield* site.sql`update cameras set path = 'moved'`
      yield* site.awaitLive(["moved"])
      assert.isFalse(daemon.stderr.some((line) => /debugger/i.test(line)))
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )

  it.effect.skipIf(!hasNamespaces)(
    `as process 1 of a container it leaves no zombies, and ends within 5 s${hasNamespaces ? "" : " (skipped: no PID namespaces here)"}`,
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const paths = [
          ...(yield* site.insertCameras("native", 2)),
          ...(yield* site.insertCameras("ffmpeg", 2))
        ]
        const container = yield* Daemon.start({ env: site.env, under: namespaces })
        yield* site.awaitLive(paths)
        const [one] = Proc.childrenOf(container.pid)
        assert.isDefined(one)
        // ffmpeg ends by itself, by a signal, and with a helper that it leaves behind
        for (let round = 0; round < 3; round++) {
          for (const child of Proc.descendants(one!)) process.kill(child, "SIGKILL")
          yield* until("new relays", () => Proc.descendants(one!).filter(Proc.runs).length === 2)
          yield* site.awaitLive(paths)
        }
        const zombies = Proc.family(one!).filter(({ state }) => state === "Z")
        assert.isEmpty(zombies)
        process.kill(one!, "SIGTERM")
        assert.strictEqual((yield* container.exit).code, 0)
        // which it says after 5 s, and before it ends by force
        assert.isFalse(container.stderr.some((line) => line.includes("shutdown timed out")))
        yield* site.sink.awaitConnections(0)
      })
  )

  it.effect("starts although its own program was deleted meanwhile", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-node-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const node = join(folder, "node")
      copyFileSync(process.execPath, node)
      const remove = "data:text/javascript,import{rmSync}from'node:fs';rmSync(process.execPath)"
      const { code, stderr } = yield* run(node, ["--import", remove, program, "run", "--help"])
      assert.strictEqual(code, 0, stderr)
    })
  )

  it.effect("a service link of Kubernetes is no port of the media server", () =>
    Effect.gen(function* () {
      const { code, stdout, stderr } = yield* run(process.execPath, [program, "config"], {
        cwd: tmpdir(),
        env: {
          MEDIA_SERVER_PORT: "tcp://10.96.0.7:8554",
          MEDIA_SERVER_SERVICE_HOST: "10.96.0.7"
        }
      })
      assert.strictEqual(code, 0, stderr)
      assert.match(stdout, /mediaServer\.port\s+8554\s+default/)
    })
  )
})
