import { assert, layer } from "@effect/vitest"
import { fromEnvironment } from "@restream/cli/systemd"
import { CameraSource, StatusStore, Supervisor } from "@restream/core"
import { Context, Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { commandOf } from "../kit/Proc.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Proc from "../kit/Proc.ts"
import { until } from "../kit/Eventually.ts"
import * as Site from "../kit/Site.ts"

const canNotify = spawnSync("systemd-notify", ["--version"]).status === 0
const skipped = canNotify ? "" : " (skipped: no systemd-notify here)"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-systemd-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const program = new URL("notify.py", import.meta.url).pathname

/** A notify socket made by another language's own hands; gives what came to it, message by message. */
const notifySocket = (name: string) =>
  Effect.gen(function* () {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn("python3", [program, name], { stdio: ["ignore", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const messages: Array<string> = []
    let rest = ""
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n")
      rest = lines.pop() ?? ""
      messages.push(...lines)
    })
    yield* until("a notify socket", () => messages.length > 0)
    messages.length = 0
    const has = (pattern: RegExp) => messages.some((message) => pattern.test(message))
    return {
      messages,
      has,
      await: (pattern: RegExp) =>
        until(
          String(pattern),
          () => has(pattern),
          () => messages.join("\n")
        )
    }
  })

/** A notify socket, and the environment of systemd for a service with a watchdog. */
const notified = Effect.gen(function* () {
  const name = join(yield* folder, "notify")
  const socket = yield* notifySocket(name)
  return {
    socket,
    pings: () => socket.messages.filter((message) => message === "WATCHDOG=1").length,
    env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "400000" }
  }
})

/** The same, with a site and the environment of a daemon on it. */
const watched = Effect.gen(function* () {
  const { env, ...rest } = yield* notified
  const site = yield* Site.make
  return { ...rest, site, env: { ...site.env, ...env } }
})

/** The shell that systemd starts becomes node, so the process is the one that is watched. */
const underSystemd = ["sh", "-c", 'WATCHDOG_PID=$$ exec "$0" "$@"']

/** Done when no ping has come for a second, which is several of its intervals; a watchdog that is fed never is quiet. */
const awaitQuiet = (pings: () => number) => {
  let seen = pings()
  let since = performance.now()
  return until("the end of the pings", () => {
    if (pings() !== seen) {
      seen = pings()
      since = performance.now()
    }
    return performance.now() - since > 1000
  })
}

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  for (const kind of ["a path", "an abstract name"]) {
    it.effect.skipIf(!canNotify)(
      `systemd is notified from start to stop of a daemon, by a socket with ${kind}${skipped}`,
      () =>
        Effect.gen(function* () {
          const path = yield* folder
          const name = kind === "a path" ? join(path, "notify") : `@${path.slice(1)}`
          const socket = yield* notifySocket(name)
          const site = yield* Site.make
          const paths = yield* site.insertCameras("native", 2)
          yield* site.sql`insert into cameras (name, type) values ('broken', 'nonsense')`
          const file = join(path, "restream.yaml")
          writeFileSync(file, "relay:\n  stallTimeout: 11s\n")
          // the table is away, so there is no first snapshot yet
          yield* site.sql`alter table cameras rename to hidden`
          const daemon = yield* Daemon.start({
            env: { ...site.env, NOTIFY_SOCKET: name },
            args: ["--config", file]
          })
          yield* socket.await(
            /^STATUS=waiting for the first snapshot of the camera table; database: .*cameras/
          )
          assert.isFalse(socket.has(/READY=1/))

          yield* site.sql`alter table hidden rename to cameras`
          yield* socket.await(/^READY=1$/)
          yield* site.awaitLive(paths)
          yield* socket.await(/^STATUS=3 cameras: 2 live, 1 invalid$/)
          yield* site.insertCameras("ffmpeg", 1)
          yield* site.awaitLive(["ffmpeg1"])
          const environments = Proc.descendants(daemon.pid)
            .filter((pid) => commandOf(pid).some((word) => word.includes("rtsp://")))
            .map((pid) => readFileSync(`/proc/${pid}/environ`, "utf8"))
          assert.strictEqual(environments.length, 1)
          assert.notInclude(environments[0], "NOTIFY_SOCKET")
          assert.isFalse(socket.has(/WATCHDOG/))

          socket.messages.length = 0
          const before = process.hrtime.bigint() / 1000n
          writeFileSync(file, "relay:\n  stallTimeout: 12s\n")
          yield* daemon.signal("SIGHUP")
          yield* socket.await(/^READY=1$/)
          const after = process.hrtime.bigint() / 1000n
          // a camera may change its state meanwhile
          const [reloading, ready] = socket.messages.filter((each) => !each.startsWith("STATUS="))
          assert.strictEqual(ready, "READY=1")
          const [, usec] = /^RELOADING=1\tMONOTONIC_USEC=(\d+)$/.exec(reloading!) ?? []
          assert.isDefined(usec, socket.messages.join("\n"))
          const at = BigInt(usec!)
          assert.isTrue(before <= at && at <= after)
          yield* daemon.awaitLine(/reload: changed relay\.stallTimeout/)

          yield* daemon.signal("SIGTERM")
          assert.strictEqual((yield* daemon.exit).code, 0)
          yield* socket.await(/^STOPPING=1\t/)
        })
    )
  }

  it.effect.skipIf(!canNotify)(
    `a standby is ready, names the daemon that relays the cameras, and pings the watchdog${skipped}`,
    () =>
      Effect.gen(function* () {
        const { env, site, socket } = yield* watched
        const paths = yield* site.insertCameras("native", 1)
        const active = yield* Daemon.start({ env: site.env })
        yield* site.awaitLive(paths)
        yield* Daemon.start({ under: underSystemd, env })
        yield* socket.await(/^READY=1$/)
        yield* socket.await(/^STATUS=standby; the cameras are relayed by restream@/)
        yield* socket.await(/^WATCHDOG=1$/)
        yield* active.signal("SIGKILL")
        yield* socket.await(/^STATUS=1 cameras: 1 live$/)
      })
  )

  it.effect.skipIf(!canNotify)(
    `the watchdog is pinged while the daemon runs, and not while the daemon is suspended${skipped}`,
    () =>
      Effect.gen(function* () {
        const { env, pings } = yield* watched
        const daemon = yield* Daemon.start({ under: underSystemd, env })
        yield* until("pings", () => pings() >= 3)

        yield* daemon.signal("SIGSTOP")
        yield* awaitQuiet(pings)
        const before = pings()
        yield* daemon.signal("SIGCONT")
        yield* until("pings again", () => pings() > before)
      })
  )

  it.effect.skipIf(!canNotify)(
    `the watchdog is not pinged by a daemon whose thread hangs${skipped}`,
    () =>
      Effect.gen(function* () {
        const { env, pings, site } = yield* watched
        yield* Daemon.start({
          env: {
            ...env,
            RESTREAM_PLUGINS: new URL("faulty-plugin.mjs", import.meta.url).pathname
          }
        })
        yield* until("pings", () => pings() >= 2)
        yield* site.insert([{ name: "endless", type: "endless" }])
        yield* awaitQuiet(pings)
      })
  )

  it.effect.skipIf(!canNotify)(
    `the watchdog is not pinged while the supervisor's loop hangs, although timers run${skipped}`,
    () =>
      Effect.gen(function* () {
        const { env, pings } = yield* notified
        let hangs = false
        const tree = Context.make(StatusStore, {
          countByState: Effect.succeed({ Live: 1 })
        } as StatusStore["Service"]).pipe(
          Context.add(CameraSource, {
            health: Effect.succeed({ _tag: "Connecting" })
          } as CameraSource["Service"]),
          Context.add(Supervisor, {
            ready: Effect.void,
            heartbeat: Effect.suspend(() => (hangs ? Effect.never : Effect.void))
          } as Supervisor["Service"])
        )
        const systemd = yield* fromEnvironment(env, process.pid)
        yield* Effect.provideContext(systemd.follow, tree)
        yield* until("pings", () => pings() >= 3)
        hangs = true
        yield* awaitQuiet(pings)
      })
  )

  it.effect.skipIf(!canNotify)(
    `the watchdog of another process is not pinged, and that is logged${skipped}`,
    () =>
      Effect.gen(function* () {
        const { env, socket } = yield* watched
        const daemon = yield* Daemon.start({
          env: { ...env, WATCHDOG_PID: "1" }
        })
        yield* daemon.awaitLine(/systemd: the watchdog expects pings from process 1, not from \d+/)
        yield* socket.await(/^READY=1$/)
        yield* socket.await(/^STATUS=0 cameras$/)
        assert.isFalse(socket.has(/WATCHDOG/))
      })
  )

  const canVerify = spawnSync("systemd-analyze", ["--version"]).status === 0
  for (const [name, program] of [
    ["restream.service", "/opt/restream/node_modules/.bin/node"],
    ["mediamtx.service", "/usr/local/bin/mediamtx"]
  ] as const) {
    it.effect.skipIf(!canVerify)(
      `systemd-analyze accepts deploy/systemd/${name}${canVerify ? "" : " (skipped: no systemd-analyze here)"}`,
      () =>
        Effect.gen(function* () {
          const url = new URL(`../../deploy/systemd/${name}`, import.meta.url)
          const unit = readFileSync(url, "utf8")
          assert.include(unit, program)
          const file = join(yield* folder, name)
          // the program must exist where the unit is verified
          writeFileSync(file, unit.replace(program, process.execPath))
          const { status, stderr } = spawnSync("systemd-analyze", ["verify", file])
          assert.strictEqual(String(stderr), "")
          assert.strictEqual(status, 0)
        })
    )
  }

  it.effect("a notify socket that is not read is logged once, and delays nothing", () =>
    Effect.gen(function* () {
      const path = yield* folder
      // counts its calls
      const calls = join(path, "calls")
      writeFileSync(
        join(path, "systemd-notify"),
        `#!/bin/sh\necho called >> ${calls}\nPATH=\${PATH#*:} exec systemd-notify "$@"\n`,
        { mode: 0o755 }
      )
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          PATH: `${path}:${process.env["PATH"]}`,
          NOTIFY_SOCKET: join(path, "nobody"),
          WATCHDOG_USEC: "200000"
        }
      })
      yield* site.awaitLive(paths)
      yield* daemon.awaitLine(/systemd: sd_notify failed: /)
      const count = () => readFileSync(calls, "utf8").split("\n").length - 1
      const before = count()
      yield* until("further messages", () => count() > before + 10)
      const told = daemon.stderr.filter((line) => line.includes("sd_notify failed"))
      assert.strictEqual(told.length, 1, told.join("\n"))
    })
  )

  it.effect("without a notify socket no helper is started", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({ env: { ...site.env, WATCHDOG_USEC: "200000" } })
      yield* site.awaitLive(paths)
      assert.isEmpty(Proc.descendants(daemon.pid))
      assert.isFalse(daemon.stderr.some((line) => line.includes("systemd")))
    })
  )
})
