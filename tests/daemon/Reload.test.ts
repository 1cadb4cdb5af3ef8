import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { anyFfmpeg } from "../engine/ffmpeg/Binaries.ts"
import { Postgres } from "../kit/Postgres.ts"
import { program } from "../kit/Program.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Proc from "../kit/Proc.ts"
import { until } from "../kit/Eventually.ts"
import { start } from "../kit/Spawn.ts"
import * as Site from "../kit/Site.ts"

/** A daemon with two cameras and a settings file, which can be written anew and reloaded. */
const running = (first: string, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-reload-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
    )
    const file = join(folder, "restream.yaml")
    writeFileSync(file, first)
    const site = yield* Site.make
    const paths = yield* site.insertCameras("native", 2)
    const daemon = yield* Daemon.start({ env: { ...site.env, ...env }, args: ["--config", file] })
    yield* site.awaitLive(paths)
    yield* daemon.awaitLine(/native2.*live/)
    /** Gives the lines that the reload brought. */
    const reload = (text: string, until = /reload: /) =>
      Effect.gen(function* () {
        writeFileSync(file, text)
        const from = daemon.stderr.length
        yield* daemon.signal("SIGHUP")
        yield* daemon.awaitLine(until, from)
        return daemon.stderr.slice(from)
      })
    const publishers = (path: string) =>
      Effect.map(site.sink.path(path), (status) => status?.publishers)
    return { daemon, site, file, folder, paths, reload, publishers }
  })

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("a reload changes the level of the log and of its modules", () =>
    Effect.gen(function* () {
      const { daemon, reload, site } = yield* running("log:\n  level: info\n")
      assert.isFalse(daemon.stderr.some((line) => line.includes("level=debug")))
      const lines = yield* reload("log:\n  modules:\n    camera: debug\n")
      assert.match(
        lines.find((line) => line.includes("reload"))!,
        /changed log\.modules/
      )
      const from = daemon.stderr.length
      yield* site.insertCameras("native", 1)
      yield* site.insert([{ name: "third", path: "third", url: site.camera.url("third") }])
      yield* daemon.awaitLine(/level=debug module=camera .*: probing/, from)
      yield* reload("log:\n  level: error\n", /./).pipe(Effect.timeoutOption("1 second"))
      yield* site.sql`delete from cameras where name = 'third'`
      yield* site.sink.awaitNoPublisher("third")
      yield* Effect.sleep("200 millis")
      assert.isFalse(daemon.stderr.some((line) => line.includes('third": removed')))
    })
  )

  it.effect("a reload starts a log file, switches to another one, and closes it", () =>
    Effect.gen(function* () {
      const { folder, reload } = yield* running("")
      const [one, two] = [join(folder, "one.log"), join(folder, "two.log")]
      yield* reload(`log:\n  file: ${one}\n`)
      yield* reload(`log:\n  file: ${two}\n  format: json\n`, /./).pipe(
        // its answer is no longer on standard error
        Effect.timeoutOption("100 millis")
      )
      yield* until("the other file", () => existsSync(two) && statSync(two).size > 0)
      yield* reload("")
      assert.match(readFileSync(one, "utf8"), /^time=.*reload: changed log\.file"\n$/)
      assert.match(readFileSync(two, "utf8"), /^\{.*"reload: changed log\.format, log\.file"\}\n$/)
    })
  )

  it.effect("a reload moves cameras by the path template at once, and touches no other", () =>
    Effect.gen(function* () {
      const { publishers, reload, site } = yield* running("mediaServer:\n  pathTemplate: a{id}\n")
      yield* site.insert([{ name: "by template", url: site.camera.url("x") }])
      yield* site.awaitLive(["a3"])
      yield* reload("mediaServer:\n  pathTemplate: b{id}\n")
      yield* site.awaitLive(["b3"])
      yield* site.sink.awaitNoPublisher("a3")
      assert.strictEqual(yield* publishers("native1"), 1)
      assert.strictEqual(yield* publishers("native2"), 1)
    })
  )

  it.effect("a reload adds and changes camera types from templates", () =>
    Effect.gen(function* () {
      const { daemon, publishers, reload, site } = yield* running("")
      yield* site.insert([{ name: "acme", type: "acme", host: "127.0.0.1", path: "acme" }])
      yield* daemon.awaitLine(/acme.*unknown camera type/)
      const place = `{host}:${site.camera.port}`
      yield* reload(`cameraTypes:\n  acme: "rtsp://${place}/one"\n`)
      yield* site.awaitLive(["acme"])
      yield* reload(`cameraTypes:\n  acme: "rtsp://${place}/two"\n`)
      yield* Effect.gen(function* () {
        while ((yield* publishers("acme")) !== 2) yield* Effect.sleep("20 millis")
      }).pipe(Effect.timeout("20 seconds"))
      assert.strictEqual(yield* publishers("native1"), 1)
    })
  )

  it.effect("a reload changes the cameras' defaults and the poll interval", () =>
    Effect.gen(function* () {
      const { daemon, reload, site } = yield* running(
        "database:\n  listen: no\n  pollInterval: 1 hour\n"
      )
      yield* site.insert([{ name: "polled", path: "polled", url: site.camera.url("x") }])
      const lines = yield* reload(
        "database:\n  listen: no\n  pollInterval: 200ms\ncamera:\n  engine: ffmpeg\n"
      )
      assert.match(lines.join(), /changed database\.pollInterval, camera\.engine/)
      // the look that was an hour away is taken at once
      yield* site.awaitLive(["polled"])
      yield* daemon.awaitLine(/polled.*: live: .*\(ffmpeg\)/)
      yield* site.insert([{ name: "later", path: "later", url: site.camera.url("x") }])
      yield* site.awaitLive(["later"])
    })
  )

  it.effect("a reload changes the delays of schedules and the programs of engines", () =>
    Effect.gen(function* () {
      const { daemon, reload, site } = yield* running(
        "relay:\n  restartDelay: 1s\nffmpeg:\n  path: /nowhere/ffmpeg\n",
        { RESTREAM_RELAY_RESTART_DELAY: "", RESTREAM_FFMPEG_PATH: "" }
      )
      yield* site.insertCameras("ffmpeg", 1)
      yield* daemon.awaitLine(/ffmpeg1.*nowhere.*restarting in/)
      yield* reload(`relay:\n  restartDelay: 2s\nffmpeg:\n  path: ${anyFfmpeg}\n`)
      yield* site.awaitLive(["ffmpeg1"])
      yield* site.camera.kick("camera")
      yield* daemon.awaitLine(
        /native1.*relay ended: .*restarting in 2 s|relay ended: .*restarting in 2 s.*native1/
      )
    })
  )

  it.effect(
    "a reload names the settings that need a restart, each time, and applies the others",
    () =>
      Effect.gen(function* () {
        const { reload, publishers } = yield* running("")
        const text = "database:\n  table: others\nmediaServer:\n  host: elsewhere\n"
        const first = yield* reload(`${text}relay:\n  killGrace: 1s\n`, /restart required/)
        assert.match(first.join("\n"), /reload: changed relay\.killGrace"/)
        assert.match(first.join("\n"), /restart required for database\.table, mediaServer\.host"/)
        const second = yield* reload(`${text}relay:\n  killGrace: 1s\n`, /restart required/)
        assert.notMatch(second.join("\n"), /nothing changed/)
        assert.strictEqual(yield* publishers("native1"), 1)
      })
  )

  it.effect("a file with errors changes nothing and is logged, one line for each error", () =>
    Effect.gen(function* () {
      const { daemon, publishers, reload } = yield* running("log:\n  level: info\n")
      const lines = yield* reload(
        "log:\n  level: debug\nrelay:\n  killGrace: soon\n  speed: 3\n",
        /relay\.killGrace/
      )
      yield* daemon.awaitLine(/nothing changed: relay\.speed .*restream\.yaml:5.*unknown setting/)
      assert.match(lines.join("\n"), /nothing changed: relay\.killGrace .*restream\.yaml:4/)
      yield* daemon.signal("SIGHUP")
      assert.isFalse(daemon.stderr.some((line) => line.includes("level=debug")))
      yield* reload("cameraTypes:\n  acme: 'rtsp://{host'\n", /cameraTypes\.acme/)
      yield* reload("database: [", /nothing changed: /)
      yield* reload("", /reload: changed|reload: nothing changed"/)
      assert.strictEqual(yield* publishers("native1"), 1)
    })
  )

  it.effect("a missing file is reported if it is named, and may be missing otherwise", () =>
    Effect.gen(function* () {
      const { daemon, file } = yield* running("")
      rmSync(file)
      yield* daemon.signal("SIGHUP")
      yield* daemon.awaitLine(
        /nothing changed: .*restream\.yaml: cannot read the settings file: no such file/
      )

      const site = yield* Site.make
      const other = yield* Daemon.start({ env: site.env, cwd: tmpdir() })
      yield* other.awaitLine(/media server .* is reachable/)
      yield* other.signal("SIGHUP")
      yield* other.awaitLine(/reload: nothing changed/)
    })
  )

  it.effect("a file that was found is reported when it is missing, named or not", () =>
    Effect.gen(function* () {
      const { daemon, file, folder, publishers, site } = yield* running("")
      yield* daemon.signal("SIGTERM")
      yield* daemon.exit
      // it is not there at the start, but at a reload
      rmSync(file)
      const other = yield* Daemon.start({ env: site.env, cwd: folder })
      yield* other.awaitLine(/native2.*live/)
      writeFileSync(file, "mediaServer:\n  pathTemplate: found{id}\n")
      yield* other.signal("SIGHUP")
      yield* other.awaitLine(/reload: changed mediaServer\.pathTemplate/)
      yield* site.insert([{ name: "by template", url: site.camera.url("x") }])
      yield* other.awaitLine(/by template.*live/)
      rmSync(file)
      const from = other.stderr.length
      yield* other.signal("SIGHUP")
      yield* other.awaitLine(/nothing changed: restream\.yaml: cannot read/, from)
      yield* Effect.sleep("300 millis")
      assert.strictEqual(other.stderr.length, from + 1)
      assert.strictEqual(yield* publishers("found3"), 1)
    })
  )

  it.effect("a daemon whose terminal is closed ends", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("ffmpeg", 1)
      // a terminal of python's making, which closes when python is asked to
      const terminal = yield* start(
        "python3",
        [
          "-c",
          "import os, pty, sys\npid, fd = pty.fork()\nif pid == 0: os.execvp(sys.argv[1], sys.argv[1:])\nprint(pid, flush=True)\nsys.stdin.read()\nos.close(fd)\nprint('ended', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)",
          process.execPath,
          program,
          "run"
        ],
        { env: site.env, inheritsEnv: false, stdio: ["pipe", "pipe", "inherit"] }
      )
      const pid = Number(yield* terminal.awaitSaid(/^\d+(?=\n)/))
      yield* site.awaitLive(paths)
      const children = Proc.descendants(pid)
      assert.strictEqual(children.length, 1)
      terminal.process.stdin!.end()
      assert.strictEqual(yield* terminal.awaitSaid(/ended .*(?=\n)/), "ended 0")
      yield* Proc.awaitGone(children)
    })
  )
})
