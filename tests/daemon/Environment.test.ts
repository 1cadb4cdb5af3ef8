import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ffprobes } from "../engine/ffmpeg/Binaries.ts"
import { hasParentDeathSignal } from "../kit/ParentDeathSignal.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Proc from "../kit/Proc.ts"
import * as Site from "../kit/Site.ts"

const plugin = new URL("faulty-plugin.mjs", import.meta.url).pathname

/** Changes a limit of a running process: what the kernel then refuses is refused in earnest. */
const limit = (pid: number, option: string, as: ReadonlyArray<string> = []) =>
  Effect.sync(() => {
    const [program = "", ...args] = [...as, "prlimit", "--pid", String(pid), option]
    const { status, stderr } = spawnSync(program, args)
    assert.strictEqual(status, 0, String(stderr))
  })

/** Copies of programs that every user may run. Those from npm are for their owner alone. */
const openPrograms = (programs: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "restream-programs-"))
      chmodSync(folder, 0o755)
      const copies = programs.map((program, index) => {
        const copy = join(folder, String(index))
        copyFileSync(program, copy)
        chmodSync(copy, 0o755)
        return copy
      })
      return { folder, copies }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

const hasLimits = spawnSync("prlimit", ["--version"]).status === 0
const skipped = hasLimits ? "" : " (skipped: no prlimit here)"

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  for (const name of ["stdout", "stderr"] as const) {
    it.effect(`the daemon continues when its ${name} is closed`, () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const paths = yield* site.insertCameras("native", 1)
        const daemon = yield* Daemon.start({
          env: site.env,
          // its log goes to standard output as JSON, and to standard error in any other form
          args: ["--log-format", name === "stdout" ? "json" : "logfmt"]
        })
        yield* site.awaitLive(paths)
        daemon.process[name]!.destroy()
        for (let round = 0; round < 3; round++) {
          yield* site.sql`update cameras set path = ${`round${round}`}`
          yield* site.awaitLive([`round${round}`])
        }
        yield* daemon.signal("SIGTERM")
        assert.strictEqual((yield* daemon.exit).code, 0)
      })
    )
  }

  it.effect("the daemon continues when its output goes to a full disk", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const full = yield* Effect.acquireRelease(
        Effect.sync(() => openSync("/dev/full", "w")),
        (fd) => Effect.sync(() => closeSync(fd))
      )
      const daemon = yield* Daemon.start({ env: site.env, stdio: ["ignore", full, full] })
      yield* site.awaitLive(paths)
      yield* site.sql`update cameras set path = 'moved'`
      yield* site.awaitLive(["moved"])
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )

  it.effect("the daemon resumes after a suspension that is longer than its timeouts", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = [
        ...(yield* site.insertCameras("native", 20)),
        ...(yield* site.insertCameras("ffmpeg", 2))
      ]
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          // less than it stands still, and more than a busy machine takes
          RESTREAM_RELAY_STALL_TIMEOUT: "3s",
          RESTREAM_MEDIA_SERVER_CHECK_INTERVAL: "1s",
          RESTREAM_MEDIA_SERVER_CHECK_TIMEOUT: "3s",
          RESTREAM_DATABASE_POLL_INTERVAL: "1s",
          RESTREAM_DATABASE_QUERY_TIMEOUT: "3s"
        }
      })
      yield* site.awaitLive(paths)
      yield* daemon.awaitLine(/ffmpeg2.*live/)
      for (const afterMs of [700, 1100]) {
        yield* Effect.sleep(afterMs)
        yield* daemon.signal("SIGSTOP")
        yield* Effect.sleep("4 seconds")
        yield* daemon.signal("SIGCONT")
      }
      yield* site.sql`update cameras set path = 'moved' where path = 'native1'`
      yield* site.awaitLive(["moved"])
      yield* Effect.sleep("2 seconds")
      const lines = daemon.stderr.filter((line) => !/native1|moved/.test(line))
      assert.deepStrictEqual(
        lines.filter((line) => /level=(?:warn|error)/.test(line)),
        []
      )
    })
  )

  it.effect("a camera type that throws or returns invalid URLs affects no other camera", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      yield* site.insert([
        { name: "throwing", type: "throws" },
        { name: "poisoned", type: "poisoned" }
      ])
      const daemon = yield* Daemon.start({ env: { ...site.env, RESTREAM_PLUGINS: plugin } })
      yield* site.awaitLive(paths)
      yield* daemon.awaitLine(/throwing.*invalid: toUrl of the camera type throws threw an error/)
      yield* daemon.awaitLine(
        /poisoned.*invalid: toUrl of the camera type poisoned gave no address/
      )
      yield* site.sql`update cameras set name = name || '!'`
      yield* site.insert([{ name: "late", path: "late", url: site.camera.url("late") }])
      yield* site.awaitLive(["late"])
      assert.notInclude(daemon.stderr.join("\n"), "planted-password")
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )

  it.effect.skipIf(!hasLimits)(
    `out of file descriptors, live cameras stay live, and the others start when descriptors are free${skipped}`,
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const first = yield* site.insertCameras("native", 2)
        const daemon = yield* Daemon.start({ env: site.env })
        yield* site.awaitLive(first)
        yield* daemon.awaitLine(/native2.*live/)
        const open = readdirSync(`/proc/${daemon.pid}/fd`).length
        yield* limit(daemon.pid, `--nofile=${open}:`)
        yield* site.insert([
          { name: "native3", path: "native3", url: site.camera.url("x") },
          {
            name: "ffmpeg1",
            path: "ffmpeg1",
            url: site.camera.url("x"),
            options: JSON.stringify({ engine: "ffmpeg" })
          }
        ])
        yield* daemon.awaitLine(/EMFILE/)
        assert.isUndefined(yield* site.sink.path("native3"))
        const before = yield* Effect.forEach(first, (path) => site.sink.path(path))
        assert.deepStrictEqual(
          before.map((status) => status?.publishers),
          [1, 1]
        )
        yield* limit(daemon.pid, `--nofile=4096:`)
        yield* site.awaitLive(["native3", "ffmpeg1"])
        assert.strictEqual((yield* site.sink.path("native1"))?.publishers, 1)
        yield* daemon.signal("SIGTERM")
        const { code } = yield* daemon.exit
        assert.strictEqual(code, 0)
      })
  )

  it.effect.skipIf(!hasLimits || !hasParentDeathSignal)(
    `a process that the kernel refuses to start affects one camera, until it is allowed${skipped}`,
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const first = [
          ...(yield* site.insertCameras("native", 1)),
          ...(yield* site.insertCameras("ffmpeg", 1))
        ]
        // root is exempt from the limit, so the daemon runs as a user that nobody else is
        const as =
          process.getuid!() === 0
            ? ["setpriv", "--reuid=64123", "--regid=64123", "--clear-groups", "--"]
            : []
        const { copies } = yield* openPrograms([ffprobes[0]!.path])
        const daemon = yield* Daemon.start({
          env: { ...site.env, RESTREAM_FFMPEG_FFPROBE_PATH: copies[0]! },
          under: as,
          cwd: "/"
        })
        yield* site.awaitLive(first)
        yield* daemon.awaitLine(/ffmpeg1.*live/)
        const children = Proc.descendants(daemon.pid)
        yield* limit(daemon.pid, "--nproc=1:", as)
        yield* site.insert([
          {
            name: "refused",
            path: "refused",
            url: site.camera.url("x"),
            options: JSON.stringify({ engine: "ffmpeg" })
          },
          { name: "native2", path: "native2", url: site.camera.url("x") }
        ])
        yield* daemon.awaitLine(/refused.*EAGAIN/)
        yield* site.awaitLive(["native2"])
        assert.deepStrictEqual(Proc.descendants(daemon.pid), children)
        yield* limit(daemon.pid, "--nproc=4096:", as)
        yield* site.awaitLive(["refused"])
        for (const path of first) {
          assert.strictEqual((yield* site.sink.path(path))?.publishers, 1)
        }
        yield* daemon.signal("SIGTERM")
        assert.strictEqual((yield* daemon.exit).code, 0)
      })
  )
})
