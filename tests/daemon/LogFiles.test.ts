import { assert, layer } from "@effect/vitest"
import { LogModule } from "@restream/config"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Postgres } from "../kit/Postgres.ts"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import { until } from "../kit/Eventually.ts"
import * as Site from "../kit/Site.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-log-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const linesOf = (file: string): ReadonlyArray<string> =>
  existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : []

/** Makes the daemon write at least so many lines, by moving its one camera from path to path. */
const chatter = (site: Effect.Success<typeof Site.make>, rounds: number) =>
  Effect.gen(function* () {
    for (let round = 0; round < rounds; round++) {
      yield* site.sql`update cameras set path = ${`chatter${round}`}`
      yield* site.awaitLive([`chatter${round}`])
    }
  })

/** Whether a process has a file open; Linux only. */
const hasOpen = (pid: number, file: string): boolean =>
  readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`) === file
    } catch {
      // closed meanwhile
      return false
    }
  })

const hasLimits = spawnSync("prlimit", ["--version"]).status === 0

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  for (const [format, shape] of [
    ["json", /^\{"time":"[^"]+","level":"info","module":"daemon",.*"message":"restream .*"\}$/],
    ["logfmt", /^time=\S+ level=info module=daemon msg="restream .*"$/],
    // a file is never a terminal
    ["pretty", /^time=\S+ level=info module=daemon msg="restream .*"$/],
    ["auto", /^time=\S+ level=info module=daemon msg="restream .*"$/]
  ] as const) {
    it.effect(
      `a log file is written as ${format}, to its last line, in a folder that is made`,
      () =>
        Effect.gen(function* () {
          const file = join(yield* folder, "made/for/it/restream.log")
          const site = yield* Site.make
          const paths = yield* site.insertCameras("native", 1)
          const daemon = yield* Daemon.start({
            env: { ...site.env, RESTREAM_LOG_FILE: file, RESTREAM_LOG_FORMAT: format }
          })
          yield* site.awaitLive(paths)
          yield* daemon.signal("SIGTERM")
          assert.strictEqual((yield* daemon.exit).code, 0)
          const lines = linesOf(file)
          assert.match(lines[0]!, shape)
          assert.include(lines.at(-1), "restream stopped")
          // the stream says the same; there `pretty` has its own form
          const stream = format === "json" ? daemon.stdout : daemon.stderr
          assert.strictEqual(stream.length, lines.length)
          if (format === "pretty") assert.match(stream[0]!, /^\d\d:\d\d:\d\d INFO {2}restream /)
          else assert.deepStrictEqual([...stream], lines)
        })
    )
  }

  it.effect("levels apply to all modules, and to single modules where set", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const settings = join(path, "restream.yaml")
      const file = join(path, "restream.log")
      writeFileSync(
        settings,
        `log:\n  level: warn\n  file: ${file}\n  modules:\n    camera: debug\n    media-server: info\n`
      )
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({ env: site.env, args: ["--config", settings] })
      yield* site.awaitLive(paths)
      yield* daemon.awaitLine(/module=camera .*live/)
      yield* daemon.signal("SIGTERM")
      yield* daemon.exit
      const lines = linesOf(file)
      assert.isTrue(lines.some((line) => line.includes("level=debug module=camera")))
      assert.isTrue(lines.some((line) => line.includes("level=info module=media-server")))
      assert.isFalse(lines.some((line) => /module=(daemon|supervisor)/.test(line)))
    })
  )

  it.effect("each module with a level of its own writes a line", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const sounding = yield* RtspServer.make()
      yield* TestPattern.publish(sounding, "sound", { audio: true })
      // the native engine can't transcode, and says so
      const options = JSON.stringify({ engine: "native", audio: "aac" })
      yield* site.insert([{ name: "a", path: "a", url: sounding.url("sound"), options }])
      // a camera that is down, and nobody to tell
      yield* site.insert([{ name: "b", path: "b", url: "rtsp://127.0.0.1:1/none" }])
      const webhooks = [{ name: "nobody", url: "http://127.0.0.1:1/" }]
      const { code } = yield* restream(["db", "init", "--cluster"], { PG_DSN: site.env.PG_DSN })
      assert.strictEqual(code, 0)
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          RESTREAM_LOG_LEVEL: "trace",
          RESTREAM_ALERTS_WEBHOOKS: JSON.stringify(webhooks),
          RESTREAM_ALERTS_AFTER: "1s",
          RESTREAM_CLUSTER_ENABLED: "true"
        }
      })
      yield* site.awaitLive(["a"])
      // whoever listens for changes loses its session
      yield* site.sql`select pg_terminate_backend(pid) from pg_stat_activity
          where query ilike 'listen%' and pid <> pg_backend_pid()`
      for (const module of LogModule.literals) {
        yield* daemon.awaitLine(new RegExp(` module=${module} `))
      }
      // and no other, whose level could not be set
      const modules: ReadonlyArray<string> = LogModule.literals
      for (const line of daemon.stderr) {
        const [, module = "none"] = / module=(\S+) /.exec(line) ?? []
        assert.include(modules, module, line)
      }
    })
  )

  it.effect(
    "a file that logrotate moved or deleted is opened again by SIGHUP, and no line is lost",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const file = join(path, "restream.log")
        const site = yield* Site.make
        const env = { ...site.env, RESTREAM_LOG_FILE: file, RESTREAM_LOG_FORMAT: "logfmt" }
        const daemon = yield* Daemon.start({ env })
        yield* daemon.awaitLine(/media server .* is reachable/)
        renameSync(file, `${file}.moved`)
        // before SIGHUP the lines go to the moved file
        yield* site.insertCameras("native", 1)
        yield* daemon.awaitLine(/native1.*live/)
        yield* daemon.signal("SIGHUP")
        yield* daemon.awaitLine(/reload: nothing changed/)
        yield* until("the new file", () => existsSync(file))
        const reloaded = daemon.stderr.length
        rmSync(file)
        yield* daemon.signal("SIGHUP")
        yield* daemon.awaitLine(/reload: nothing changed/, reloaded)
        yield* until("the second new file", () => existsSync(file))
        yield* daemon.signal("SIGTERM")
        yield* daemon.exit
        const all = [...daemon.stderr]
        const moved = linesOf(`${file}.moved`)
        assert.isTrue(moved.some((line) => line.includes("live")))
        assert.deepStrictEqual(moved, all.slice(0, moved.length))
        const last = linesOf(file)
        assert.include(last.at(-1), "restream stopped")
        assert.deepStrictEqual(last, all.slice(-last.length))
      })
  )

  it.effect("a full file is rotated, and the configured number of old files is kept", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const site = yield* Site.make
      yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          RESTREAM_LOG_FILE: join(path, "restream.log"),
          RESTREAM_LOG_FILE_MAX_SIZE: "1 KB",
          RESTREAM_LOG_FILE_KEEP: "2",
          RESTREAM_LOG_LEVEL: "trace"
        }
      })
      yield* chatter(site, 8)
      yield* daemon.signal("SIGTERM")
      yield* daemon.exit
      assert.deepStrictEqual(readdirSync(path).sort(), [
        "restream.log",
        "restream.log.1",
        "restream.log.2"
      ])
      for (const name of ["restream.log.1", "restream.log.2"]) {
        assert.isAtLeast(statSync(join(path, name)).size, 1000)
        assert.isBelow(statSync(join(path, name)).size, 2000)
      }
      // nothing is lost between two files
      const kept = ["restream.log.2", "restream.log.1", "restream.log"].flatMap((name) =>
        linesOf(join(path, name)).filter((line) => line !== "")
      )
      assert.deepStrictEqual(kept, daemon.stderr.slice(-kept.length))
    })
  )

  it.effect("a file that reaches its maximum age is rotated while the daemon runs", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = join(path, "restream.log")
      // the daemon's clock is set such that its minute ends in ten seconds: a busy machine needs
      // some of them to start it
      const shift = join(path, "shift.mjs")
      writeFileSync(
        shift,
        `const Real = Date, by = 50_000 - (Real.now() % 60_000)
           globalThis.Date = class extends Real {
             constructor(...given) { given.length === 0 ? super(Real.now() + by) : super(...given) }
             static now() { return Real.now() + by }
           }`
      )
      const site = yield* Site.make
      const daemon = yield* Daemon.start({
        node: ["--import", shift],
        env: { ...site.env, RESTREAM_LOG_FILE: file, RESTREAM_LOG_FILE_MAX_AGE: "1 minute" }
      })
      yield* daemon.awaitLine(/media server/)
      yield* until("an old file", () => existsSync(`${file}.1`))
      assert.include(linesOf(`${file}.1`).join("\n"), "media server")
      yield* site.insertCameras("native", 1)
      yield* until("the new file", () => linesOf(file).some((line) => /live/.test(line)))
    })
  )

  it.effect("a file that cannot be written is logged once, and the relays continue", () =>
    Effect.gen(function* () {
      const path = yield* folder
      writeFileSync(join(path, "file"), "")
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({
        env: {
          ...site.env,
          RESTREAM_LOG_FILE: join(path, "file", "restream.log"),
          RESTREAM_LOG_FORMAT: "json"
        }
      })
      yield* site.awaitLive(paths)
      yield* chatter(site, 2)
      const told = daemon.stdout.filter((line) => line.includes("log file"))
      assert.strictEqual(told.length, 1, told.join("\n"))
      const line = JSON.parse(told[0]!) as Record<string, string>
      assert.match(line["message"]!, /ENOTDIR.*log lines are lost, relays are unaffected/)
      assert.strictEqual(line["level"], "error")
      assert.isBelow(daemon.stdout.indexOf(told[0]!), 6)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )

  it.effect.skipIf(process.platform !== "linux")(
    "a folder that cannot be made is logged once, and causes no busy loop",
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const daemon = yield* Daemon.start({
          env: { ...site.env, RESTREAM_LOG_FILE: "/proc/nope/restream.log" }
        })
        yield* daemon.awaitLine(/log file .*ENOENT.*log lines are lost, relays are unaffected/)
        yield* daemon.awaitLine(/media server .* is reachable/)
        // in ticks of 10 ms: user and system time of all its threads
        const ticks = () => {
          const stat = readFileSync(`/proc/${daemon.pid}/stat`, "utf8").split(") ")[1]!.split(" ")
          return Number(stat[11]) + Number(stat[12])
        }
        const before = ticks()
        yield* Effect.sleep("2 seconds")
        assert.isBelow(ticks() - before, 50)
        const told = daemon.stderr.filter((line) => line.includes("log file"))
        assert.strictEqual(told.length, 1, told.join("\n"))
        yield* daemon.signal("SIGTERM")
        assert.strictEqual((yield* daemon.exit).code, 0)
      })
  )

  it.effect.skipIf(!hasLimits)(
    `a disk that fills up is logged once, as is free space afterwards${hasLimits ? "" : " (skipped: no prlimit here)"}`,
    () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "restream.log")
        const site = yield* Site.make
        yield* site.insertCameras("native", 1)
        // the kernel lets the daemon write files up to so many bytes, and refuses more
        const daemon = yield* Daemon.start({
          under: ["prlimit", "--fsize=2000:unlimited", "--"],
          env: { ...site.env, RESTREAM_LOG_FILE: file, RESTREAM_LOG_LEVEL: "trace" }
        })
        yield* chatter(site, 6)
        yield* daemon.awaitLine(/log file .*EFBIG.*log lines are lost, relays are unaffected/)
        // it is given up, and opened again, as full as it was
        yield* until("the log file's end", () => !hasOpen(daemon.pid, file))
        yield* until("the log file is open again", () => hasOpen(daemon.pid, file))
        yield* chatter(site, 2)
        const about = () => daemon.stderr.filter((line) => line.includes("log file"))
        assert.strictEqual(about().length, 1, about().join("\n"))

        assert.strictEqual(
          spawnSync("prlimit", ["--pid", String(daemon.pid), "--fsize=unlimited:"]).status,
          0
        )
        yield* until(
          "the file's recovery",
          () => about().length > 1,
          () => daemon.stderr.join("\n")
        ).pipe(Effect.raceFirst(Effect.forever(chatter(site, 2))))
        assert.match(about()[1]!, /writable again, [1-9]\d* lines lost/)
        yield* daemon.signal("SIGTERM")
        assert.strictEqual((yield* daemon.exit).code, 0)
        assert.strictEqual(about().length, 2)
        assert.include(linesOf(file).at(-1), "restream stopped")
      })
  )
})
