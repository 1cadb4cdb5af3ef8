/** `restream migrate-log-config`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { restream } from "../kit/Command.ts"

/** As `fileConfig` reads it. */
const ini = `# logging of the service
[loggers]
keys=root,db,asyncio

[logger_root]
level=INFO
handlers=console,file,mail

[logger_db]
level=DEBUG
handlers=
qualname=src.db
propagate=0

[logger_asyncio]
level=CRITICAL
handlers=
qualname=asyncio

[handler_console]
class=StreamHandler
level=WARNING
args=(sys.stdout,)

[handler_file]
class=handlers.RotatingFileHandler
args=('log/restream.log', 'a', 10*1024*1024,
    5)

[handler_mail]
class=handlers.SMTPHandler
args=(('localhost', 25), 'a@b', ['c, d'], 'Error')

[formatter_simple]
format=%(asctime)s %(message)s
`

/** As `dictConfig` reads it. */
const dict = `version: 1
formatters:
  json: { class: pythonjsonlogger.jsonlogger.JsonFormatter }
handlers:
  file:
    class: logging.handlers.TimedRotatingFileHandler
    filename: /var/log/restream.log
    when: midnight
    backupCount: 14
  unused: { class: logging.FileHandler, filename: other.log }
loggers:
  src.camera: { level: DEBUG }
root: { level: WARNING, handlers: [file] }
`

const migrate = (name: string, text: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-log-config-"))),
    (folder) =>
      Effect.gen(function* () {
        const file = join(folder, name)
        writeFileSync(file, text)
        const { code, stderr, stdout } = yield* restream(["migrate-log-config", file])
        const settings = join(folder, "restream.yaml")
        writeFileSync(settings, stdout)
        const config = yield* restream(["config", "--json", "--config", settings])
        assert.strictEqual(config.code, 0, config.stderr)
        const rows = JSON.parse(config.stdout).settings as ReadonlyArray<Record<string, string>>
        const log = rows.filter(
          ({ key, origin }) => key?.startsWith("log.") && origin !== "default"
        )
        return {
          code,
          log: Object.fromEntries(log.map(({ key, value }) => [key, value])),
          warnings: stderr
            .trimEnd()
            .split("\n")
            .map((line) => line.replace(`warning: ${file}`, ""))
        }
      }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

describe("restream migrate-log-config", () => {
  it.live("translates an ini file, and warns of what has no counterpart", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* migrate("restream_log.conf", ini), {
        code: 0,
        log: {
          "log.level": "info",
          "log.file": "log/restream.log",
          "log.fileMaxSize": "10 MiB",
          "log.fileMaxAge": "366 days",
          "log.fileKeep": "5",
          "log.modules": "source: debug"
        },
        warnings: [
          ":9: logger src.db: taken for the module source",
          ":9: logger src.db: propagate; all modules write to the same places",
          ":15: CRITICAL is the level error here",
          ":15: logger asyncio: no module of restream has this name; see log.modules",
          ":20: handler console: a level of its own; log.level applies to all places",
          ":20: standard output: the log goes to standard error, unless log.format is json",
          ":30: SMTPHandler: no counterpart; the journal of systemd can forward the log",
          ":34: formatter simple: the form of a line is log.format: pretty, logfmt or json"
        ]
      })
    })
  )

  it.live("translates the mapping of dictConfig", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* migrate("logging.yaml", dict), {
        code: 0,
        log: {
          "log.level": "warn",
          "log.format": "json",
          "log.file": "/var/log/restream.log",
          "log.fileMaxSize": "1 TB",
          "log.fileMaxAge": "1 day",
          "log.fileKeep": "14",
          "log.modules": "camera: debug"
        },
        warnings: [
          ":12: logger src.camera: taken for the module camera",
          ":5: when MIDNIGHT: a file is rotated by its age, and not at a time of day",
          ":10: handler unused: no logger uses it",
          ":3: formatter json: the form of a line is log.format: pretty, logfmt or json"
        ]
      })
    })
  )

  it.live("refuses another file in one line", () =>
    Effect.gen(function* () {
      const missing = yield* restream(["migrate-log-config", "/none/x.conf"])
      assert.deepStrictEqual([missing.code, missing.stderr], [2, "/none/x.conf: no such file\n"])
      const other = yield* restream(["migrate-log-config", "/dev/null"])
      assert.strictEqual(other.code, 2)
      assert.match(other.stderr, /^\/dev\/null: expected a configuration of Python's logging: /)
    })
  )
})
