import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Queue, Redacted, Schedule } from "effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { isBuiltin } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { program } from "../kit/Program.ts"
import { start } from "../kit/Spawn.ts"
import { invocation, restream } from "../kit/Command.ts"

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })("restream db", (it) => {
  const columns = (dsn: string) =>
    Effect.flatMap(
      client(Redacted.make(dsn)),
      (sql) =>
        sql`select column_name, data_type, column_default from information_schema.columns
          where table_name = 'cameras' order by ordinal_position`
    )

  it.effect("init is idempotent, and sql prints its statements", () =>
    Effect.gen(function* () {
      const made = Redacted.value(yield* freshDatabase)
      const printed = Redacted.value(yield* freshDatabase)
      for (const _ of [1, 2]) {
        const { code, stderr, stdout } = yield* restream(["db", "init"], { PG_DSN: made })
        assert.deepStrictEqual(
          [code, stderr, stdout],
          [0, "", "table cameras and its trigger exist\n"]
        )
      }
      const { code, stdout } = yield* restream(["db", "sql"])
      assert.strictEqual(code, 0)
      const sql = yield* client(Redacted.make(printed))
      // as psql does it: all of it as one simple query is not what a prepared statement takes
      for (const statement of stdout.split(";\n\n")) {
        if (statement.trim() !== "") yield* sql.unsafe(statement)
      }
      const found = yield* columns(made)
      assert.isAbove(found.length, 10)
      assert.deepStrictEqual(yield* columns(printed), found)
    })
  )

  it.effect("cluster reports the missing tables as run does", () =>
    Effect.gen(function* () {
      const empty = Redacted.value(yield* freshDatabase)
      const without = yield* restream(["cluster"], { PG_DSN: empty })
      assert.strictEqual(without.code, 2)
      assert.match(without.stderr, /do not exist; create them with restream db init --cluster/)
      const nowhere = yield* restream(["cluster"], { PG_DSN: "postgres://x:y@127.0.0.1:1/x" })
      assert.strictEqual(nowhere.code, 2)
      assert.match(nowhere.stderr, /connection refused by 127\.0\.0\.1:1/)
    })
  )

  it.effect("init --status makes the status table, and prints its SQL", () =>
    Effect.gen(function* () {
      const dsn = Redacted.value(yield* freshDatabase)
      const sql = yield* client(Redacted.make(dsn))
      const env = { PG_DSN: dsn, RESTREAM_DATABASE_STATUS_TABLE: "ops.camera_status" }
      for (const _ of [1, 2]) {
        const { code, stderr, stdout } = yield* restream(["db", "init", "--status"], env)
        assert.deepStrictEqual(
          [code, stderr, stdout],
          [0, "", "status table ops.camera_status exists\n"]
        )
      }
      assert.deepStrictEqual(yield* sql`select id, state, last_video from ops.camera_status`, [])
      assert.deepStrictEqual(yield* sql`select to_regclass('cameras') as name`, [{ name: null }])

      yield* sql`drop schema ops cascade`
      const printed = yield* restream(["db", "init", "--status", "--print"], { ...env, PG_DSN: "" })
      assert.strictEqual(printed.code, 0)
      for (const statement of printed.stdout.split(";\n\n")) {
        if (!/^\s*(--|$)/.test(statement)) yield* sql.unsafe(statement)
      }
      assert.deepStrictEqual(yield* sql`select id, state, last_video from ops.camera_status`, [])
      assert.include(printed.stdout, "grant select, insert, update, delete")

      yield* sql`alter table ops.camera_status drop column reason`
      const other = yield* restream(["db", "init", "--status"], env)
      assert.strictEqual(other.code, 2)
      assert.match(other.stderr, /ops\.camera_status already exists, without the columns reason;/)
      const unset = yield* restream(["db", "init", "--status"], { PG_DSN: dsn })
      assert.strictEqual(unset.code, 2)
      assert.match(unset.stderr, /^database\.statusTable is not set;/)
      const same = yield* restream(["config"], { RESTREAM_DATABASE_STATUS_TABLE: '"cameras"' })
      assert.strictEqual(same.code, 2)
      assert.match(same.stderr, /statusTable.*is the table of cameras/)
    })
  )

  it.effect("init reports the missing columns of an existing table, and keeps its rows", () =>
    Effect.gen(function* () {
      const dsn = Redacted.value(yield* freshDatabase)
      const sql = yield* client(Redacted.make(dsn))
      yield* sql`create table cameras (id text, url text)`
      yield* sql`insert into cameras values ('a', 'rtsp://a')`
      const { code, stdout } = yield* restream(["db", "init"], { PG_DSN: dsn })
      assert.strictEqual(code, 0)
      assert.include(stdout, "already existed, without the columns name, type, host")
      assert.deepStrictEqual(yield* sql`select * from cameras`, [{ id: "a", url: "rtsp://a" }])
      // which of its columns matter is not known
      const heard = yield* sql.listen("restream_cameras")
      yield* sql`update cameras set url = 'rtsp://b'`
      assert.strictEqual((yield* Queue.take(heard)).payload, '{"ids" : ["a"]}')
    })
  )
})

describe("restream config", () => {
  it.live("shows every setting with its origin, and no secret", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream(["config", "--pg-dsn", "postgres://flag/x"], {
        PG_DSN: "postgres://me:TopSecret1@db/cams",
        RESTREAM_MEDIA_SERVER_USERNAME: "relay",
        RESTREAM_MEDIA_SERVER_PASSWORD: "TopSecret2"
      })
      assert.strictEqual(code, 0)
      assert.match(stdout, /database\.dsn +postgres:\/\/.*db.*\/cams +.*PG_DSN/)
      assert.match(stdout, /relay\.restartDelay +5s? .* +default/)
      assert.notInclude(stdout, "TopSecret")
    })
  )

  it.live(
    "shows where viewers reach the media server, derived from its host unless it is set",
    () =>
      Effect.gen(function* () {
        const { stdout } = yield* restream(["config", "--json"], {
          MEDIA_SERVER_HOST: "2001:db8::9",
          RESTREAM_MEDIA_SERVER_HLS_URL: "https://video.example/hls/"
        })
        const shown = JSON.parse(stdout).settings.flatMap(
          ({ key, origin, value }: Readonly<Record<string, string>>) =>
            /^mediaServer\.(webrtc|hls|rtsp)Url$/.test(key ?? "") ? [[key, value, origin]] : []
        )
        assert.deepStrictEqual(shown, [
          ["mediaServer.webrtcUrl", "http://[2001:db8::9]:8889", "default"],
          ["mediaServer.hlsUrl", "https://video.example/hls", "RESTREAM_MEDIA_SERVER_HLS_URL"],
          ["mediaServer.rtspUrl", "rtsp://[2001:db8::9]:8554", "default"]
        ])
      })
  )

  it.live("names the file that it read, and does not cut values outside of a terminal", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-config-"))),
      (folder) =>
        Effect.gen(function* () {
          const file = join(folder, "restream.yaml")
          const query = `SELECT ${"x".repeat(100)}`
          writeFileSync(file, `database:\n  query: ${query}\n`)
          const { stderr, stdout } = yield* restream(["config", "-c", file])
          assert.include(stdout, `${query}  `)
          assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
            `settings file: ${file}`,
            "neither database.dsn nor source.file is set; run and check require one of them"
          ])
          const json = yield* restream(["config", "--json", "-c", file])
          assert.strictEqual(JSON.parse(json.stdout).file, file)
          const none = yield* restream(["config"])
          assert.match(none.stderr, /^no settings file: \/.*restream\.yaml does not exist\n/)
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
  )

  it.live("reports every problem on its own line, and exits with 2", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* restream(
        ["config", "--media-server-port", "80000", "--probe-jitter", "2"],
        { RESTREAM_ENGINES: "x", PG_DSN: "postgres://me:TopSecret1@db:port/x" }
      )
      assert.deepStrictEqual([code, stdout], [2, ""])
      const lines = stderr.trimEnd().split("\n")
      assert.strictEqual(lines.length, 4)
      assert.notInclude(stderr, "TopSecret1")
      assert.notInclude(stderr, "    at ")
    })
  )
})

describe("invalid settings", () => {
  const folder = Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-settings-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )

  it.live("are reported by every command that uses them, all at once, each with its line", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const file = join(path, "restream.yaml")
      const text = [
        "mediaServer:",
        "  port: 99999",
        "  password: TopSecret1",
        "cameraTypes:",
        '  acme: "rtsp://{host"',
        "  b: foo",
        "plugins: [./broken.js, ./throws.js, ./needs.js, ./missing.js, ./empty.js, not-a-package]",
        "database:",
        "  dsn: postgres://host/x?sslmode=verify-full&sslrootcert=/nowhere/ca.pem"
      ]
      writeFileSync(file, text.join("\n"))
      writeFileSync(join(path, "package.json"), '{ "type": "module" }')
      writeFileSync(join(path, "broken.js"), "export const cameraTypes = [\n  {} {}\n]\n")
      writeFileSync(
        join(path, "throws.js"),
        '\nthrow new TypeError("rtsp://admin:TopSecret2@host is bad")\n'
      )
      writeFileSync(join(path, "needs.js"), 'import "./other.js"\n')
      writeFileSync(join(path, "empty.js"), "export const cameraTypes = [{}]\n")
      const settings = [
        `mediaServer.port (from ${file}:2): 99999 is out of range (1 to 65535)`,
        `mediaServer.password (from ${file}:3): requires mediaServer.username`
      ]
      const database = [
        `database.dsn (from ${file}:9): cannot read the file of sslrootcert: no such file`
      ]
      const types = [
        `cameraTypes.acme (from ${file}:5): a brace that belongs to no {column} or {column|default}`,
        `cameraTypes.b (from ${file}:6): the address needs a scheme, such as rtsp://host/path`,
        ...[
          "./broken.js: SyntaxError: Unexpected token '{' (broken.js:2)",
          "./throws.js: TypeError: rtsp://***@host is bad (throws.js:2)",
          `./needs.js: Error: Cannot find module '${join(path, "other.js")}' imported from ${join(path, "needs.js")}`,
          `./missing.js: no such file: ${join(path, "missing.js")}`,
          "./empty.js: expected the export cameraTypes: objects with a name and a function toUrl, or a function that returns them",
          `not-a-package: package not found from ${path} or from the installation of restream`
        ].map((words) => `plugins (from ${file}:7): ${words}`)
      ]
      for (const [command, lines] of [
        [["run"], [...settings, ...database, ...types]],
        [["check"], [...settings, ...database, ...types]],
        [["config"], [...settings, ...types]],
        [
          ["db", "init"],
          [...settings, ...database]
        ],
        [["db", "sql"], settings]
      ] as const) {
        const { code, stderr, stdout } = yield* restream([...command, "--config", file])
        assert.deepStrictEqual([code, stdout], [2, ""])
        assert.deepStrictEqual(stderr.trimEnd().split("\n"), lines)
      }
    })
  )

  it.live(
    "are reported although the file cannot be read, and a DSN is not reported as missing",
    () =>
      Effect.gen(function* () {
        const nowhere = join(yield* folder, "nowhere.yaml")
        // the variable beats the flag, as for every setting
        const { code, stderr } = yield* restream(
          ["check", "--config", "another.yaml", "--log-level", "loud"],
          { RESTREAM_CONFIG: nowhere }
        )
        assert.strictEqual(code, 2)
        assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
          `${nowhere}: cannot read the settings file: no such file`,
          'log.level (from --log-level): "loud" is not one of trace, debug, info, warn, error'
        ])
      })
  )
})

describe("restream", () => {
  it.live("prints help, its version and completions", () =>
    Effect.gen(function* () {
      const help = yield* restream(["--help"])
      for (const command of [
        "run",
        "check",
        "status",
        "retry",
        "restart",
        "demo",
        "db",
        "config"
      ]) {
        assert.match(help.stdout, new RegExp(`^ +${command} `, "m"))
      }
      // what there is to do comes before how it can be done otherwise
      const at = ["SUBCOMMANDS", "\nFLAGS", "--config", "SETTINGS", "--relay-restart-delay"].map(
        (text) => help.stdout.indexOf(text)
      )
      assert.deepStrictEqual(
        at,
        [...at].sort((a, b) => a - b)
      )
      assert.notInclude(at, -1)
      for (const line of help.stdout.split("\n").slice(0, 20)) assert.isAtMost(line.length, 132)
      const own = yield* restream(["check", "--help"])
      assert.match(own.stdout, /--wrong +List/)
      assert.notInclude(own.stdout, "--relay-restart-delay")
      assert.match((yield* restream(["--version"])).stdout, /\d+\.\d+\.\d+/)
      assert.include((yield* restream(["--completions", "bash"])).stdout, "complete")
      const fish = (yield* restream(["--completions", "fish"])).stdout
      assert.include(
        fish,
        "__fish_seen_subcommand_from run; and begin; not __fish_contains_opt pg-dsn"
      )
      // every command has every setting as a flag
      assert.isBelow(fish.length, 200_000)
    })
  )

  const wrong = [
    {
      args: ["--json", "config"],
      says: "--json: must follow its command: restream config --json"
    },
    {
      args: ["--log-level", "warn", "config", "--log-level", "info"],
      says: "--log-level: given 2 times; expected once"
    },
    {
      args: ["check", "--concurrency", "abc"],
      says: "--concurrency: expected a whole number, got abc"
    },
    { args: ["check", "--camera"], says: "--camera: a value is required" },
    { args: ["check", "--json=maybe"], says: "--json: expected true or false, got maybe" },
    { args: ["rum"], says: 'Unknown subcommand "rum" for "restream"; did you mean run?' },
    {
      args: ["run", "--relay-restart-dealy", "5s"],
      says: "Unrecognized flag: --relay-restart-dealy in command restream run; did you mean --relay-restart-delay?"
    },
    {
      args: ["run", "postgres://me:TopSecret1@db/x"],
      says: 'Unexpected positional argument: "postgres://***@db/x"'
    },
    {
      args: ["restart", "1", ""],
      says: 'Invalid value for argument <id>: "". Expected: the id of a camera'
    },
    {
      args: ["snapshot", ""],
      says: 'Invalid value for argument <id>: "". Expected: the id of a camera'
    },
    { args: ["demo", "--cameras", "0"], says: "--cameras: 0 is out of range (1 to 500)" },
    {
      args: ["demo", "--config", "missing.yaml"],
      says: "--config: the demo does not read a settings file; use flags or the environment"
    },
    {
      args: ["demo", "--duration", "soon"],
      says: '--duration: "soon" is not a duration; examples: 10 seconds, 500ms, 2 min'
    }
  ]
  it.live.each(wrong)("reports the error of $args in one line", ({ args, says }) =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* restream(args)
      assert.deepStrictEqual([code, stdout], [2, ""])
      assert.strictEqual(stderr.split("\n")[0], says)
      assert.isAtMost(stderr.trimEnd().split("\n").length, 2)
    })
  )
})

describe("standard output", () => {
  const into = (target: string, args: ReadonlyArray<string>, under: ReadonlyArray<string> = []) => {
    const fd = openSync(target, "w")
    const [command = "", ...rest] = [...under, process.execPath, program, ...args]
    const { status, stderr } = spawnSync(command, rest, { stdio: ["ignore", fd, "pipe"] })
    closeSync(fd)
    return { status, told: String(stderr).split("\n").at(-2) }
  }
  const full = "restream: cannot write to standard output: ENOSPC: no space left on device, write"

  it
    .skipIf(!existsSync("/dev/full"))
    .each([["config"], ["config", "--json"], ["db", "sql"], ["--help"], ["--completions", "bash"]])(
    "that is full is reported, and %s %s exits with 2",
    (...args) => {
      assert.deepStrictEqual(into("/dev/full", args), { status: 2, told: full })
    }
  )

  it.skipIf(spawnSync("prlimit", ["--version"]).status !== 0)(
    "that accepts a part of the data is reported",
    () => {
      const folder = mkdtempSync(join(tmpdir(), "restream-output-"))
      const file = join(folder, "out")
      const { status, told } = into(file, ["config"], ["prlimit", "--fsize=1000", "--"])
      assert.strictEqual(status, 2)
      assert.match(told ?? "", /cannot write to standard output: EFBIG/)
      assert.strictEqual(statSync(file).size, 1000)
      rmSync(folder, { recursive: true })
    }
  )

  it("whose reader closes it early is not an error", () => {
    const { status, stderr } = spawnSync("sh", [
      "-c",
      `"$0" "$1" config | true; "$0" "$1" config | head -n 1 >/dev/null; echo done >&2`,
      process.execPath,
      program
    ])
    assert.strictEqual(status, 0)
    assert.notInclude(String(stderr), "cannot write")
  })
})

describe("the command's file", () => {
  it("is none of the build's, so that npm links it before there is a build", () => {
    const folder = join(dirname(program), "..")
    const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    assert.strictEqual(join(folder, bin.restream), program)
  })

  it("loads no package, and names the licence of each that it contains", () => {
    const dist = join(dirname(program), "../dist")
    const chunks = readdirSync(dist).filter((name) => /^restream.*\.js$/.test(name))
    const code = chunks.map((name) => readFileSync(join(dist, name), "utf8")).join("\n")
    const imported = [...code.matchAll(/^import .* from "([^"]+)";$/gm)].map(
      (match) => match[1] ?? ""
    )
    assert.isNotEmpty(imported)
    assert.deepStrictEqual(
      imported.filter((name) => !isBuiltin(name) && !chunks.includes(name.replace("./", ""))),
      []
    )
    const licenses = readFileSync(join(dist, "restream-licenses.txt"), "utf8")
    for (const name of ["effect", "@effect/platform-node", "@effect/sql-pg"]) {
      assert.match(licenses, new RegExp(`^${name} \\S+ \\(MIT\\)$`, "m"))
    }
  })

  it.each([
    ["20.20.2", /^restream: it needs Node 22\.19 or later, and this is 20\.20\.2; [^\n]*\n$/],
    ["22.18.0", /^restream: it needs Node 22\.19 or later/],
    ["22.19.0", /^$/],
    ["26.0.0", /^$/]
  ])("prints one line where Node is too old, and runs otherwise: %s", (version, says) => {
    const older = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`
    const { status, stderr } = spawnSync(process.execPath, [
      "--import",
      `data:text/javascript,${encodeURIComponent(older)}`,
      program,
      "--version"
    ])
    assert.match(String(stderr), says)
    assert.strictEqual(status, says.test("") ? 0 : 2)
  })

  it("prints one line if there is no build", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-unbuilt-"))),
      (folder) =>
        Effect.sync(() => {
          mkdirSync(join(folder, "bin"))
          copyFileSync(program, join(folder, "bin/restream.js"))
          writeFileSync(join(folder, "package.json"), '{ "type": "module" }')
          const { status, stderr } = spawnSync(process.execPath, [join(folder, "bin/restream.js")])
          assert.match(String(stderr), /^restream: there is no build of it yet; [^\n]*\n$/)
          assert.strictEqual(status, 2)
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    ).pipe(Effect.runPromise))
})

describe("restream types", () => {
  it.live("lists the built-in types, and those of the settings with their columns", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "restream-types-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "restream.yaml")
      writeFileSync(file, `cameraTypes: { acme: "rtsp://{host}:{port|554}/live/{lens}" }\n`)
      const { code, stdout } = yield* restream(["types", "--json", "--config", file])
      assert.strictEqual(code, 0)
      const { types } = JSON.parse(stdout) as {
        readonly types: ReadonlyArray<{ readonly name: string; readonly columns: unknown }>
      }
      assert.includeMembers(
        types.map(({ name }) => name),
        ["url", "hikvision", "reolink", "xiongmai"]
      )
      assert.deepStrictEqual(types.find(({ name }) => name === "acme")?.columns, [
        { name: "host", required: true },
        { name: "port", required: false },
        { name: "lens", required: true }
      ])
      const text = yield* restream(["types", "--config", file])
      assert.match(text.stdout, /^acme +host \[port\] lens +/m)
    })
  )
})

describe("restream demo", () => {
  it.live("shows the main job with nothing installed", () =>
    Effect.gen(function* () {
      const { code, stdout } = yield* restream([
        "demo",
        "--cameras",
        "2",
        "--duration",
        "12s",
        "--json"
      ])
      const lines = stdout.trimEnd().split("\n")
      const summary = JSON.parse(lines.at(-1) ?? "")
      assert.deepInclude(summary, { event: "summary", ok: true })
      const healthy = summary.cameras.filter((one: { healthy: boolean }) => one.healthy)
      assert.strictEqual(healthy.length, 2)
      for (const camera of healthy) {
        assert.include(camera, { state: "live", engine: "native" })
        assert.isAbove(camera.bytes, 0)
      }
      assert.strictEqual(code, 0)
    })
  )
  it.live("prints the address of the dashboard, and serves it with snapshots", () =>
    Effect.gen(function* () {
      const { command, environment } = invocation(["demo", "--cameras", "1", "--json"])
      const demo = yield* start(process.execPath, command, { env: environment })
      yield* demo.awaitSaid(/"event":"dashboard","url":"[^"]+"/)
      const first = demo
        .said()
        .split("\n")
        .find((line) => line.startsWith('{"event"'))
      const { event, url } = JSON.parse(first ?? "") as {
        readonly event: string
        readonly url: string
      }
      assert.strictEqual(event, "dashboard")
      const get = (path: string) =>
        Effect.tryPromise(() => fetch(new URL(path, url))).pipe(
          Effect.repeat({ until: ({ ok }) => ok, schedule: Schedule.spaced("200 millis") }),
          Effect.eventually
        )
      const page = yield* get("")
      assert.include(yield* Effect.promise(() => page.text()), "<title>restream</title>")
      const picture = yield* get("api/cameras/1/picture")
      assert.strictEqual(picture.headers.get("content-type"), "video/mp4")
      assert.isAbove((yield* Effect.promise(() => picture.arrayBuffer())).byteLength, 500)
    })
  )
  it.live("shows a hundred cameras, each with a port of its own", () =>
    Effect.gen(function* () {
      const args = ["demo", "--cameras", "100", "--duration", "12s", "--json"]
      const { code, stderr, stdout } = yield* restream(args)
      assert.strictEqual(code, 0, stderr.slice(-500))
      const lines = stdout.trimEnd().split("\n")
      const summary = JSON.parse(lines.at(-1) ?? "")
      assert.isTrue(summary.ok)
      const late = lines.filter((line) => line.includes("Comes up late"))
      assert.isTrue(late.some((line) => line.includes('"to":{"_tag":"Unreachable"')))
      assert.isTrue(late.some((line) => line.includes('"to":{"_tag":"Live"')))
    })
  )
})
