/** `restream init`, by flags and by answers on a terminal. */
import { assert, layer } from "@effect/vitest"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { invocation, restream } from "../kit/Command.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { run } from "../kit/Spawn.ts"

const terminal = new URL("terminal.py", import.meta.url).pathname

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-init-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

/** Runs init on a terminal; an answer replaces the default. */
const onTerminal = (
  args: ReadonlyArray<string>,
  answers: ReadonlyArray<readonly [question: string, answer: string | undefined]>
) => {
  const { command, environment } = invocation(["init", ...args])
  const typed = answers.map(([question, answer = ""]) => [question, answer])
  return run("python3", [terminal, "80", JSON.stringify(typed), process.execPath, ...command], {
    env: { ...environment, TERM: "xterm" }
  })
}

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8)

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "restream init",
  (it) => {
    it.effect("writes what flags and the environment say, after testing it", () =>
      Effect.gen(function* () {
        const dsn = Redacted.value(yield* freshDatabase)
        const { port } = yield* RtspServer.make()
        const file = join(yield* folder, "restream.yaml")
        const env = { PG_DSN: dsn, MEDIA_SERVER_PORT: String(port) }
        const init = (...args: ReadonlyArray<string>) =>
          restream(["init", "--yes", "--config", file, ...args], env)
        const first = yield* init(
          "--media-server-username",
          "me",
          "--media-server-password",
          "Pa55"
        )
        assert.strictEqual(first.code, 0)
        assert.include(first.stdout, `wrote ${file} (mode 0600)\n`)
        assert.match(first.stdout, /create table if not exists "cameras"/)
        assert.match(first.stderr, /media server 127\.0\.0\.1:\d+ is reachable\n/)
        assert.match(first.stderr, /there is no table cameras; this SQL creates it/)
        assert.strictEqual(modeOf(file), "600")
        assert.notInclude(first.stdout + first.stderr, "Pa55")

        const config = yield* restream(["config", "--json", "--config", file])
        const values = new Map(
          (JSON.parse(config.stdout).settings as ReadonlyArray<Record<string, string>>).map(
            ({ key, value }) => [key, value]
          )
        )
        assert.strictEqual(values.get("mediaServer.port"), String(port))
        assert.strictEqual(values.get("mediaServer.username"), "me")
        assert.strictEqual(values.get("mediaServer.password"), "***")
        assert.notInclude(["", undefined], values.get("database.dsn"))

        const text = readFileSync(file, "utf8")
        const again = yield* init()
        assert.deepStrictEqual(
          [again.code, again.stderr],
          [2, `${file} exists; --force overwrites it\n`]
        )
        assert.strictEqual(readFileSync(file, "utf8"), text)
        assert.strictEqual((yield* init("--force")).code, 0)
        assert.notInclude(readFileSync(file, "utf8"), "Pa55")
      })
    )

    it.effect("writes nothing if a test fails, unless tests are disabled", () =>
      Effect.gen(function* () {
        const port = String(yield* freePort)
        const made = yield* folder
        const file = join(made, "restream.yaml")
        const init = (...args: ReadonlyArray<string>) =>
          restream(["init", "--yes", "--config", file, ...args], { MEDIA_SERVER_PORT: port })
        const dsn = `postgres://me:Secr3t@127.0.0.1:${port}/db`
        const refused = yield* init("--pg-dsn", dsn)
        assert.strictEqual(refused.code, 1)
        assert.match(refused.stderr, /^database: connection refused by 127\.0\.0\.1:\d+\n/)
        assert.match(
          refused.stderr,
          /^media server 127\.0\.0\.1:\d+ is unreachable: connection refused by/m
        )
        assert.match(refused.stderr, /no settings were written; --untested writes them/)
        assert.notInclude(refused.stderr, "Secr3t")
        assert.isFalse(existsSync(file))
        const unit = join(made, "restream.service")
        const untested = yield* init("--pg-dsn", dsn, "--untested", "--unit", unit)
        assert.strictEqual(untested.code, 0)
        assert.include(readFileSync(file, "utf8"), dsn)
        assert.match(
          readFileSync(unit, "utf8"),
          new RegExp(`^ExecStart=/.*/node /.*/restream\\.js run --config ${file}$`, "m")
        )
        assert.notMatch(readFileSync(unit, "utf8"), /EnvironmentFile|\/opt\/restream/)
      })
    )

    it.effect("writes nothing if a file cannot be written, or the password is refused", () =>
      Effect.gen(function* () {
        const { port } = yield* RtspServer.make({
          authentication: {
            username: "me",
            password: Redacted.make("Pa55"),
            actions: ["publish"]
          }
        })
        const made = yield* folder
        const file = join(made, "restream.yaml")
        const init = (password: string, unit: string, ...more: ReadonlyArray<string>) =>
          restream(
            ["init", "--yes", "--config", file, "--source-file", "cameras.yaml"].concat(
              ["--unit", unit],
              more
            ),
            {
              MEDIA_SERVER_PORT: String(port),
              RESTREAM_MEDIA_SERVER_USERNAME: "me",
              RESTREAM_MEDIA_SERVER_PASSWORD: password
            }
          )
        const nowhere = join(made, "missing", "restream.service")
        const { code, stderr } = yield* init("Pa55", nowhere)
        assert.deepStrictEqual([code, stderr], [2, `cannot write ${nowhere}: no such folder\n`])
        const fifo = join(made, "fifo")
        spawnSync("mkfifo", [fifo])
        const forced = yield* init("Pa55", fifo, "--force")
        assert.deepStrictEqual(
          [forced.code, forced.stderr],
          [2, `cannot write ${fifo}: not a file\n`]
        )
        assert.isTrue(statSync(fifo).isFIFO())
        const unit = join(made, "restream.service")
        const refused = yield* init("other", unit)
        assert.strictEqual(refused.code, 1)
        assert.match(refused.stderr, /^media server \S+, publishing: the media server refuse/m)
        assert.isFalse(existsSync(file))
        assert.isFalse(existsSync(unit))
        const good = yield* init("Pa55", unit)
        assert.strictEqual(good.code, 0, good.stderr)
      })
    )

    it.effect("asks for the database, and creates its table", () =>
      Effect.gen(function* () {
        const url = yield* freshDatabase
        const { hostname, password, pathname, port, username } = new URL(Redacted.value(url))
        const server = yield* RtspServer.make()
        const file = join(yield* folder, "restream.yaml")
        const { code, stdout } = yield* onTerminal(
          ["--config", file],
          [
            ["Where are the cameras", undefined],
            ["Database host", hostname],
            ["Database port", port],
            ["Database name", pathname.slice(1)],
            ["Database user", username],
            ["Database password", decodeURIComponent(password)],
            ["Media server host", undefined],
            ["RTSP port", String(server.port)],
            ["User name for publishing", undefined],
            ["Create the table now?", "y"],
            ["systemd unit", "n"]
          ]
        )
        assert.strictEqual(code, 0, stdout)
        if (password.length > 3) assert.notInclude(stdout, password)
        const sql = yield* client(url)
        assert.deepStrictEqual(yield* sql`select * from cameras`, [])
        assert.strictEqual(modeOf(file), "600")
      })
    )

    it.effect("asks for a file of cameras, and writes one with an example", () =>
      Effect.gen(function* () {
        const server = yield* RtspServer.make()
        const made = yield* folder
        const file = join(made, "restream.yaml")
        const { code, stdout } = yield* onTerminal(
          ["--config", file, "--media-server-port", String(server.port)],
          [
            ["Where are the cameras", "\u001b[B"],
            ["File of cameras", "gates.csv"],
            ["Media server host", undefined],
            ["User name for publishing", undefined],
            ["systemd unit", "y"]
          ]
        )
        assert.strictEqual(code, 0, stdout)
        assert.include(readFileSync(file, "utf8"), "file: gates.csv\n")
        assert.isTrue(existsSync(join(made, "restream.service")))
        const check = yield* restream(["check", "--config", file])
        assert.deepStrictEqual(
          [check.code, check.stderr],
          [0, `no enabled cameras in ${join(made, "gates.csv")}, 1 disabled\n`]
        )
      })
    )

    it.effect("ends at Ctrl+C without output and without a file", () =>
      Effect.gen(function* () {
        const file = join(yield* folder, "restream.yaml")
        const { code, stdout } = yield* onTerminal(
          ["--config", file],
          [["Where are the cameras", "\u0003"]]
        )
        assert.strictEqual(code, 130)
        assert.notInclude(stdout, "error")
        assert.isFalse(existsSync(file))
      })
    )

    it.effect("asks nothing where there is no terminal", () =>
      Effect.gen(function* () {
        const { code, stderr } = yield* restream(["init"])
        assert.strictEqual(code, 2)
        assert.match(stderr, /^init asks questions, and this is not a terminal; pass --yes/)
      })
    )
  }
)
