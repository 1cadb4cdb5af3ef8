/** `restream run` and `restream check` with a file of cameras, and no database. */
import { assert, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Layer } from "effect"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { invocation, restream } from "../kit/Command.ts"
import { run, start } from "../kit/Spawn.ts"

const terminal = new URL("terminal.py", import.meta.url).pathname

const make = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-camera-file-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const cameras = yield* RtspServer.make()
  yield* TestPattern.publish(cameras, "gate")
  yield* TestPattern.publish(cameras, "yard")
  const mediaServer = yield* RtspServer.make()
  const env = {
    // whether this machine has ffmpeg is of no interest
    RESTREAM_FFMPEG_PATH: process.execPath,
    RESTREAM_FFMPEG_FFPROBE_PATH: process.execPath,
    MEDIA_SERVER_PORT: String(mediaServer.port),
    RESTREAM_LOG_FORMAT: "logfmt",
    RESTREAM_HTTP_ENABLED: "no",
    RESTREAM_CONFIG: join(folder, "restream.yaml")
  }
  const file = join(folder, "cameras.yaml")
  // relative to the settings file, not to the working directory
  writeFileSync(env.RESTREAM_CONFIG, "source:\n  file: cameras.yaml\n")
  const write = (text: string) => Effect.sync(() => writeFileSync(file, text, { mode: 0o600 }))
  const call = (args: ReadonlyArray<string>, more: Record<string, string> = {}) =>
    restream(args, { ...env, ...more })
  return { call, cameras, env, file, mediaServer, write }
})

layer(Layer.empty, { timeout: "60 seconds", excludeTestServices: true })(
  "a file of cameras",
  (it) => {
    it.effect("is checked, with the reason of each failure", () =>
      Effect.gen(function* () {
        const { call, cameras, write } = yield* make
        yield* write(
          `cameras:\n  - name: Gate\n    url: ${cameras.url("gate")}\n  - name: Yard\n    type: hikvison\n`
        )
        const { code, stderr, stdout } = yield* call(["check"])
        assert.strictEqual(code, 1)
        assert.match(stdout, /^Gate +Gate +url +ok /m)
        assert.match(stdout, /^Yard .*did you mean hikvision\?/m)
        assert.match(stderr, /^1 failed: 1 invalid row\n2 cameras: 1 ok, 1 failed/)
      })
    )

    it.effect("is checked with colored states on a terminal, unless NO_COLOR is set", () =>
      Effect.gen(function* () {
        const { cameras, env, write } = yield* make
        yield* write(`- name: Gate\n  url: ${cameras.url("gate")}\n- name: Yard\n`)
        const { command, environment } = invocation(["check"], env)
        const output = (more: Record<string, string | undefined>) =>
          Effect.map(
            run("python3", [terminal, "120", "[]", process.execPath, ...command], {
              env: { ...environment, TERM: "xterm", NO_COLOR: undefined, ...more }
            }),
            ({ stdout }) => stdout
          )
        const colored = yield* output({})
        assert.include(colored, "\u001B[32mok\u001B[0m")
        assert.include(colored, "\u001B[33minvalid\u001B[0m")
        assert.notInclude(yield* output({ NO_COLOR: "1" }), "\u001B[3")
      })
    )

    it.effect("is named if it lists no camera, with a warning if all may read the settings", () =>
      Effect.gen(function* () {
        const { call, env, file, write } = yield* make
        yield* write("cameras: []\n")
        const safe = yield* call(["check"])
        assert.deepStrictEqual([safe.code, safe.stderr], [0, `no enabled cameras in ${file}\n`])
        const settings = env.RESTREAM_CONFIG
        const text = "source: { file: cameras.yaml }\nmediaServer: { username: me, password: x }\n"
        writeFileSync(settings, text)
        chmodSync(settings, 0o644)
        const { stderr } = yield* call(["check"])
        const warning = `settings file: ${settings} holds passwords, and every user of this machine may read it; chmod 640 removes that right`
        assert.strictEqual(stderr, `${warning}\nno enabled cameras in ${file}\n`)
        const { command, environment } = invocation(["run"], env)
        const daemon = yield* start(process.execPath, command, { env: environment })
        yield* daemon.awaitSaid(/settings file: .* holds passwords, and every user/)
      })
    )

    it.effect("is checked with a warning where no ffmpeg could relay a camera by UDP", () =>
      Effect.gen(function* () {
        const { call, cameras, write } = yield* make
        yield* write(`- path: gate\n  url: ${cameras.url("gate")}\n`)
        yield* cameras.configure("gate", { quirks: { udpOnly: true } })
        const { stderr } = yield* call(["check"], { RESTREAM_FFMPEG_PATH: "/missing/ffmpeg" })
        assert.match(stderr, /^warning: ffmpeg was not found .* by UDP .* \(camera gate\)$/m)
      })
    )

    it.effect("that cannot be read fails a check in one line", () =>
      Effect.gen(function* () {
        const { call, file, write } = yield* make
        yield* write("cameras:\n  - name: 'Gate\n")
        const { code, stderr, stdout } = yield* call(["check"])
        assert.deepStrictEqual(
          [code, stdout, stderr],
          [2, "", `camera file: ${file}:2:11: the quote is not closed\n`]
        )
      })
    )

    it.effect("is never a FIFO, nor is any other file that a command reads", () =>
      Effect.gen(function* () {
        const { call, file } = yield* make
        const { code } = yield* run("mkfifo", [file])
        assert.strictEqual(code, 0)
        for (const [args, problem] of [
          [["check"], `camera file: ${file}: not a file\n`],
          [["config", "--config", file], `${file}: cannot read the settings file: not a file\n`],
          [["migrate-log-config", file], `${file}: not a file\n`],
          [
            ["config", "--plugins", file],
            `plugins (from --plugins): ${file}: not a file: ${file}\n`
          ],
          [
            ["check", "--pg-dsn", `postgres://a@b/c?sslmode=verify-full&sslrootcert=${file}`],
            "database.dsn (from --pg-dsn): cannot read the file of sslrootcert: not a file\n"
          ]
        ] as const) {
          const env =
            args.length === 1 ? {} : { RESTREAM_CONFIG: args[1] === "--config" ? file : "" }
          const { code, stderr } = yield* call(args, env)
          assert.deepStrictEqual([code, stderr], [2, problem])
        }
      })
    )

    it.effect("that becomes a FIFO, and a log file that is one, leave the daemon running", () =>
      Effect.gen(function* () {
        const { cameras, env, file, mediaServer, write } = yield* make
        yield* write(`- path: gate\n  url: ${cameras.url("gate")}\n`)
        const log = `${file}.log`
        yield* run("mkfifo", [log])
        const { command, environment } = invocation(["run", "--log-file", log], env)
        const daemon = yield* start(process.execPath, command, { env: environment })
        yield* daemon.awaitSaid(/log file .*: not a file; log lines are lost/)
        yield* mediaServer.awaitPackets("gate")
        yield* Effect.sync(() => rmSync(file))
        yield* run("mkfifo", [file])
        yield* daemon.awaitSaid(/cameras\.yaml: not a file; running relays are unaffected/)
        yield* daemon.signal("SIGTERM")
        assert.deepStrictEqual(yield* daemon.exit, { code: 0, signal: null })
      })
    )

    it.effect("or a database is required, and not both", () =>
      Effect.gen(function* () {
        const { call, file } = yield* make
        for (const command of ["run", "check"]) {
          const neither = yield* call([command], { RESTREAM_CONFIG: "/dev/null" })
          assert.strictEqual(neither.code, 2)
          assert.match(
            neither.stderr,
            /^database\.dsn: not set, and neither is source\.file; run restream init, or set PG_DSN \(postgres:.*\) or source\.file \(a YAML or CSV file\)\n$/
          )
          const both = yield* call([command, "--source-file", file], { PG_DSN: "postgres://a@b/c" })
          assert.deepStrictEqual(
            [both.code, both.stderr],
            [
              2,
              "source.file: conflicts with database.dsn (PG_DSN), because both list the cameras; remove one of them\n"
            ]
          )
        }
      })
    )

    it.effect("is followed by the daemon, whose relays survive a mistake in it", () =>
      Effect.gen(function* () {
        const { cameras, env, file, mediaServer, write } = yield* make
        const gate = `- path: gate\n  url: ${cameras.url("gate")}\n`
        const yard = `- path: yard\n  url: ${cameras.url("yard")}\n`
        yield* write(gate)
        const { command, environment } = invocation(["run"], env)
        const daemon = yield* start(process.execPath, command, { env: environment })
        yield* daemon.awaitSaid(new RegExp(`restream \\S+ started: camera file ${file}, media`))
        yield* mediaServer.awaitPackets("gate")
        yield* write("- path: 'gate\n")
        yield* daemon.awaitSaid(/cameras\.yaml:1:9: the quote is not closed; running relays are/)
        yield* write(gate + yard)
        yield* mediaServer.awaitPackets("yard")
        assert.notMatch(daemon.said(), /removed from the table|restarted/)
        yield* write(yard)
        yield* daemon.awaitSaid(/camera gate removed from the table/)
      })
    )
  }
)
