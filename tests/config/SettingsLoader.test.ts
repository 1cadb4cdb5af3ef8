import {
  attempt,
  defaultSettings,
  Dsn,
  load,
  problemLine,
  requireDsn,
  SettingsError,
  settings,
  type Sources
} from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Equal, Redacted, Result } from "effect"
import * as fc from "fast-check"
import {
  assertHidden,
  companions,
  defaultOf,
  problems,
  fileWith,
  loaded,
  markedPassword,
  renderings,
  samples,
  type Setting,
  valueOf
} from "./Samples.ts"

const layers = ["file", "flag", "env"] as const
type Layer = (typeof layers)[number]

/** Sets the setting in some layers, each to its own value. */
const inLayers = (
  setting: Setting,
  values: Partial<Record<Layer, unknown>>,
  flag = setting.flags[0]
): Sources => ({
  file:
    "file" in values ? { name: "restream.yaml", text: fileWith(setting, values.file) } : undefined,
  flags: "flag" in values ? { [flag ?? ""]: String(values.flag) } : {},
  env: {
    ...companions[setting.key],
    ...("env" in values ? { [setting.env ?? ""]: String(values.env) } : {})
  }
})

const originOf = (setting: Setting, layer: Layer | undefined) => {
  switch (layer) {
    case "env":
      return { _tag: "Env", name: setting.env }
    case "flag":
      return { _tag: "Flag", name: setting.flags[0] }
    case "file":
      return { _tag: "File", place: `restream.yaml:${setting.path.length}` }
    default:
      return { _tag: "Default" }
  }
}

describe("load", () => {
  it.each(settings.map((one) => [one.key, one] as const))(
    "lets the environment beat the flag, the flag the file, and the file the default: %s",
    (_, setting) => {
      const possible = setting.env === undefined ? (["file"] as const) : layers
      fc.assert(
        fc.property(
          fc.subarray([...possible]),
          fc.shuffledSubarray([...samples(setting)], { minLength: 2 }),
          (given, values) => {
            const chosen = Object.fromEntries(
              given.map((layer, index) => [layer, values[index % values.length]])
            )
            const winner = layers.findLast((layer) => layer in chosen)
            const all = loaded(inLayers(setting, chosen))
            const alone =
              winner === undefined
                ? defaultOf(setting)
                : valueOf(loaded(inLayers(setting, { [winner]: chosen[winner] })), setting)
            assert.isTrue(Equal.equals(valueOf(all, setting), alone))
            assert.deepStrictEqual(all.origins.get(setting.key), originOf(setting, winner) as never)
          }
        ),
        { numRuns: 40 }
      )
    }
  )

  it.each(settings.flatMap((one) => one.flags.map((flag) => [flag, one] as const)))(
    "takes --%s",
    (flag, setting) => {
      const [value] = samples(setting)
      const from = loaded(inLayers(setting, { flag: value }, flag))
      assert.deepStrictEqual(from.origins.get(setting.key), { _tag: "Flag", name: flag })
      assert.isFalse(Equal.equals(valueOf(from, setting), undefined))
    }
  )

  it("returns the defaults if nothing is set", () => {
    const from = loaded({})
    assert.isTrue(Equal.equals(from.settings, defaultSettings))
    assert.isTrue([...from.origins.values()].every(({ _tag }) => _tag === "Default"))
    assert.strictEqual(from.origins.size, settings.length)
  })

  it("treats an empty variable as not set", () => {
    const empty = Object.fromEntries(
      settings.flatMap(({ env }) => (env === undefined ? [] : [[env, ""]]))
    )
    assert.isTrue(Equal.equals(loaded({ env: empty }).settings, loaded({}).settings))
    const flag = loaded({ env: { PG_DSN: "" }, flags: { "pg-dsn": "postgres://h/x" } })
    assert.deepStrictEqual(flag.origins.get("database.dsn"), { _tag: "Flag", name: "pg-dsn" })
  })

  it("treats a key without a value as not set, and a group without keys as empty", () => {
    const text = "database:\nrelay:\n  restartDelay:\n  killGrace: ~\nplugins:\n"
    assert.isTrue(Equal.equals(loaded({ file: { name: "f", text } }).settings, loaded({}).settings))
    for (const text of ["", "# nothing\n", "---\n"]) {
      assert.isTrue(
        Equal.equals(loaded({ file: { name: "f", text } }).settings, loaded({}).settings)
      )
    }
  })

  it("does not parse a value that another source overrides", () => {
    const file = { name: "f", text: "relay:\n  restartDelay: 5" }
    assert.deepStrictEqual(problems({ file, env: { RESTREAM_RELAY_RESTART_DELAY: "5s" } }), [])
  })

  it("reports all problems at once, one per line", () => {
    const lines = problems({
      file: {
        name: "restream.yaml",
        text: [
          "databse:",
          "  table: x",
          "database:",
          "  poll_interval: 1s",
          "  restartDelay: 1s",
          "relay: 5",
          "probe:",
          "  retryDelays: []",
          "mediaServer:",
          "  password: 1234",
          "log: { level: loud, modules: { camra: debug } }",
          "plugins: [1]",
          "cameraTypes: { A: x, a: y }"
        ].join("\n")
      },
      flags: {
        pg_dsn: "postgres://u:p/w@h/x",
        "log-levl": "info",
        "database-dsn": "x",
        "camera-types": "x"
      },
      env: {
        RESTREAM_CAMERA_ENGINE: "nativ\nx",
        RESTREAM_RELAY_STAL_TIMEOUT: "5s",
        RESTREAM_MEDIA_SERVER_PORT: "1",
        RESTREAM_LOG_MODULES: "x",
        MEDIA_SERVER_PORT: "http://10.0.0.1:8554"
      }
    })
    assert.deepStrictEqual(lines, [
      "databse (from restream.yaml:1): unknown setting; did you mean database?",
      "database.poll_interval (from restream.yaml:4): unknown setting; did you mean database.pollInterval?",
      'database.restartDelay (from restream.yaml:5): unknown setting; did you mean relay.restartDelay? Write "restartDelay:" indented below "relay:".',
      "relay (from restream.yaml:6): expected the settings of the group, indented below",
      "--log-levl: unknown flag; did you mean --log-level?",
      "--database-dsn: unknown flag; did you mean --pg-dsn?",
      "--camera-types: unknown flag; cameraTypes can be set only in the file",
      "RESTREAM_RELAY_STAL_TIMEOUT: unknown variable; did you mean RESTREAM_RELAY_STALL_TIMEOUT?",
      "RESTREAM_MEDIA_SERVER_PORT: unknown variable; did you mean MEDIA_SERVER_PORT?",
      "RESTREAM_LOG_MODULES: unknown variable; log.modules can be set only in the file",
      "database.dsn (from --pg_dsn): unescaped @ or # after the host; in the user name and password, write / # ? % @ as %2F %23 %3F %25 %40",
      'mediaServer.port (from MEDIA_SERVER_PORT): "http://10.0.0.1:8554" is not a whole number',
      "mediaServer.password (from restream.yaml:10): the value must be quoted: YAML reads it as a number",
      'camera.engine (from RESTREAM_CAMERA_ENGINE): "nativ\\nx" is not one of auto, native, ffmpeg; did you mean native?',
      "probe.retryDelays (from restream.yaml:8): the list is empty",
      'log.level (from restream.yaml:11): "loud" is not one of trace, debug, info, warn, error',
      "log.modules (from restream.yaml:11): unknown module camra; did you mean camera?",
      "cameraTypes (from restream.yaml:13): duplicate type: A and a",
      "plugins (from restream.yaml:12): item 1: 1 must be quoted: YAML reads it as a number"
    ])
  })

  it("checks the rules between settings although other settings are invalid", () => {
    const wrong = (text: string) => problems({ file: { name: "f", text: `mediaServer:\n${text}` } })
    assert.deepStrictEqual(wrong("  port: x\n  password: secret\n"), [
      'mediaServer.port (from f:2): "x" is not a whole number',
      "mediaServer.password (from f:3): requires mediaServer.username"
    ])
    // the user name is unknown
    assert.deepStrictEqual(wrong("  username: 5\n  password: secret\n"), [
      "mediaServer.username (from f:2): 5 must be quoted: YAML reads it as a number"
    ])
    const both = `  fingerprint: ${"a1".repeat(32)}\n  insecure: yes\n  checkTimeout: 1\n`
    assert.deepStrictEqual(
      wrong(both).map((line) => line.split(" ")[0]),
      ["mediaServer.checkTimeout", "mediaServer.fingerprint", "mediaServer.insecure"]
    )
  })

  it("uses the defaults of invalid settings, for a caller with more checks", () => {
    const text = "log:\n  level: loud\n  fileKeep: 3\ncameraTypes:\n  one: a\n  acme-2: b\n"
    const { isComplete, originOf, problems, settings } = attempt({ file: { name: "f", text } })
    assert.deepStrictEqual(problems.map(problemLine), [
      'log.level (from f:2): "loud" is not one of trace, debug, info, warn, error'
    ])
    assert.deepStrictEqual([settings.log.level, settings.log.fileKeep], ["info", 3])
    assert.deepStrictEqual(
      [originOf(["cameraTypes", "acme-2"]), originOf(["log", "file"])],
      ["f:6", "default"]
    )
    assert.isTrue(isComplete)
    assert.isFalse(attempt({ file: { name: "f", text: "log: [" } }).isComplete)
  })

  it.each([
    ["RESTREAM_PG_DSN", "PG_DSN"],
    ["RESTREAM_MEDIA_SERVER_HST", "MEDIA_SERVER_HOST"],
    ["RESTREAM_ZZZZZZZZZZZZZZ", undefined],
    ["RESTREAM_PLUGIN", "RESTREAM_PLUGINS"]
  ])("suggests a variable for %s", (name, meant) => {
    const hint = meant === undefined ? "" : `; did you mean ${meant}?`
    assert.deepStrictEqual(problems({ env: { [name]: "x" } }), [`${name}: unknown variable${hint}`])
  })

  it("suggests the setting for a key in the wrong place", () => {
    const hint = (text: string) => problems({ file: { name: "f", text } }).join()
    const nested = (key: string, group: string, name: string) =>
      `unknown setting; did you mean ${key}? Write "${name}:" indented below "${group}:".`
    assert.include(
      hint("pollInterval: 1s"),
      nested("database.pollInterval", "database", "pollInterval")
    )
    assert.include(hint("PG_DSN: x"), nested("database.dsn", "database", "dsn"))
    assert.include(hint("database.table: x"), nested("database.table", "database", "table"))
    assert.include(hint("log:\n  plugins: x"), "unknown setting; did you mean plugins?")
    assert.match(hint("zzzzzzzzzz: 1"), /unknown setting$/)
  })

  it("rejects conflicting settings of the media server", () => {
    const line = (text: string) =>
      problems({ file: { name: "f", text: `mediaServer: { ${text} }` } })
    const fingerprint = `fingerprint: ${"ab".repeat(32)}`
    assert.deepStrictEqual(line("password: x"), [
      "mediaServer.password (from f:1): requires mediaServer.username"
    ])
    assert.deepStrictEqual(line("username: x"), [])
    assert.deepStrictEqual(line(fingerprint), [
      "mediaServer.fingerprint (from f:1): requires TLS; set mediaServer.scheme to rtsps"
    ])
    assert.deepStrictEqual(line(`${fingerprint}, scheme: rtsps, insecure: on`), [
      "mediaServer.insecure (from f:1): conflicts with mediaServer.fingerprint; remove one of them"
    ])
  })

  it("rejects a URL for viewers that contains credentials, without repeating it", () => {
    const line = (text: string) =>
      problems({ file: { name: "f", text: `mediaServer: { ${text} }` } })
    for (const url of [
      "http://admin:Wz0v@mtx:8889",
      "rtsp://mtx:8889",
      "mtx:8889",
      "http://",
      "http://mtx:8889/?jwt=Wz0v",
      "http://mtx:8889/#cam1"
    ]) {
      const lines = line(`webrtcUrl: "${url}"`)
      assert.strictEqual(lines.length, 1, url)
      assert.match(lines[0] ?? "", /^mediaServer\.webrtcUrl .*is not a URL with http or https/)
      assert.notInclude(lines[0], "Wz0v")
    }
    assert.deepStrictEqual(
      line("webrtcUrl: https://mtx:8889/, hlsUrl: http://mtx/hls, rtspUrl: rtsps://mtx:8322"),
      []
    )
  })

  it("rejects headers that are no name=value pairs, and an API URL, without repeating them", () => {
    for (const [text, problem] of [
      ["otlp: { headers: Wz0v }", "otlp.headers (from f:1): item 1 is not a header as name=value"],
      ['otlp: { headers: "a=b,x y=Wz0v" }', "otlp.headers (from f:1): item 2 is not a header"],
      ["mediaServer: { apiUrl: Wz0v }", "mediaServer.apiUrl (from f:1): the value is not a URL"]
    ] as const) {
      const [line = "", ...others] = problems({ file: { name: "f", text } })
      assert.isTrue(line.startsWith(problem), line)
      assert.notInclude(line, "Wz0v")
      assert.deepStrictEqual(others, [])
    }
  })

  it("accepts table and query together", () => {
    assert.deepStrictEqual(
      problems({ flags: { "database-table": "a", "database-query": "SELECT 1" } }),
      []
    )
  })

  it("ignores the service links of Kubernetes and the caller's own variables", () => {
    const env = {
      RESTREAM_PORT: "tcp://10.0.0.1:80",
      RESTREAM_SERVICE_HOST: "10.0.0.1",
      RESTREAM_SERVICE_PORT_HTTP: "80",
      RESTREAM_METRICS_PORT_9090_TCP_ADDR: "10.0.0.1",
      RESTREAM_CONFIG: "/etc/restream.yaml"
    }
    assert.deepStrictEqual(problems({ env, otherVariables: ["RESTREAM_CONFIG"] }), [])
    assert.lengthOf(problems({ env }), 1)
    assert.lengthOf(problems({ env: { RESTREAM_PORT: "80" } }), 1)
  })

  it("ignores inherited properties of the sources", () => {
    const file = { name: "f", text: "constructor: 1\n__proto__: 2\ndatabase:\n  toString: 3" }
    assert.lengthOf(
      problems({
        file,
        flags: Object.create({ "pg-dsn": "x" }),
        env: Object.create({ PG_DSN: "x" })
      }),
      3
    )
  })

  it("prints no value that may be a secret, even in the wrong setting", () => {
    for (const value of ["postgres://u:kXq7@h/x", "host=x password=kXq7"]) {
      const file = {
        name: "f",
        text: JSON.stringify({ [value]: 1, log: { modules: { [value]: 1 } } })
      }
      const env = {
        RESTREAM_LOG_LEVEL: value,
        RESTREAM_DATABASE_QUERY: value,
        [`RESTREAM_${value}`]: "1"
      }
      const lines = problems({ file, env, flags: { [value]: "1", "camera-engine": value } })
      assert.lengthOf(lines, 7)
      assertHidden(lines.join())
    }
    const template = { file: { name: "f", text: "cameraTypes: rtsp://admin:kXq7@{host}" } }
    assertHidden(problems(template).join())
  })

  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.json(),
    fc.constantFrom("1s", "a,b", "true", "postgres://")
  )
  const anyNames = settings.flatMap(({ env, flags }) => [env ?? "", ...flags])
  const record = fc.dictionary(
    fc.oneof(
      fc.constantFrom(...anyNames),
      fc.string(),
      fc.string().map((rest) => `RESTREAM_${rest}`)
    ),
    text
  )
  const groups = [...new Set(settings.flatMap(({ path }) => path))]
  const yaml = fc.oneof(
    text,
    fc
      .array(
        fc
          .tuple(
            fc.constantFrom("", "  ", "    ", "\t", "- "),
            fc.constantFrom(...groups),
            fc.constantFrom(": ", ":", ""),
            text
          )
          .map((parts) => parts.join(""))
      )
      .map((lines) => lines.join("\n")),
    fc
      .dictionary(
        fc.constantFrom(...groups),
        fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...groups), fc.jsonValue()))
      )
      .map((tree) => JSON.stringify(tree))
  )

  it("never throws, and reports single lines", () => {
    fc.assert(
      fc.property(yaml, record, record, (text, flags, env) => {
        const result = load({ file: { name: "f", text }, flags, env })
        if (Result.isSuccess(result)) return
        assert.isAbove(result.failure.lines.length, 0)
        for (const line of result.failure.lines) assert.match(line, /^[^\p{Cc}\u2028]{1,600}$/u)
      }),
      { numRuns: 1000 }
    )
  })

  it("survives malicious YAML", () => {
    const bomb = [
      "a: &a [x, x]",
      ...[..."bcdefghijklmnopqrstuvwxyz"].map(
        (name, i) =>
          `${name}: &${name} [*${"abcdefghijklmnopqrstuvwxyz"[i]}, *${"abcdefghijklmnopqrstuvwxyz"[i]}]`
      ),
      "plugins: *z",
      "log: { level: *z, modules: *z }"
    ]
    for (const text of [
      bomb.join("\n"),
      "[".repeat(50_000),
      "a:\n".repeat(5000),
      '"',
      "\uFEFF",
      "x".repeat(1_000_001)
    ]) {
      assert.isTrue(Result.isResult(load({ file: { name: "f", text } })))
    }
  })

  it("prints no secret of the settings or the problems", () => {
    const spoil = fc.constantFrom(
      (text: string) => JSON.stringify(text),
      (text: string) => text,
      (text: string) => `"${text}`,
      (text: string) => `'${text}`,
      (text: string) => `*${text}`,
      (text: string) => `&${text}`,
      (text: string) => `[${text}`,
      (text: string) => `{${text}`,
      (text: string) => `"${text}" ${text}`,
      (text: string) => `"\\q${text}"`,
      (text: string) => `|\n  ${text}`,
      (text: string) => `${text}: ${text}`
    )
    fc.assert(
      fc.property(markedPassword, spoil, fc.boolean(), (password, spoil, inEnv) => {
        const text = `mediaServer:\n  username: u\n  password: ${spoil(password)}\ndatabase:\n  dsn: ${spoil(`postgres://u:${password}@h/x`)}`
        const env = inEnv
          ? {
              PG_DSN: `postgres://u:${encodeURIComponent(password)}@h/x`,
              RESTREAM_MEDIA_SERVER_PASSWORD: password
            }
          : {}
        for (const sources of [
          { file: { name: "f", text } },
          { file: { name: "f", text }, env },
          { env }
        ]) {
          const result = load(sources)
          assertHidden(renderings(result))
          assertHidden(renderings(Result.merge(result)))
          if (Result.isSuccess(result) && "env" in sources && inEnv) {
            const { database, mediaServer } = result.success.settings
            assert.strictEqual(
              mediaServer.password && Redacted.value(mediaServer.password),
              password
            )
            assert.strictEqual(
              database.dsn?.password && Redacted.value(database.dsn.password),
              password
            )
          }
        }
      }),
      { numRuns: 1000 }
    )
  })
})

describe("requireDsn", () => {
  it("returns the DSN, or an error that names how to set it", () => {
    const dsn = requireDsn(loaded({ env: { PG_DSN: "postgres://u:p@h/x" } }).settings)
    assert.strictEqual(Result.getOrThrow(dsn).hosts[0]?.host, "h")
    const error = Result.getOrThrow(Result.flip(requireDsn(loaded({}).settings)))
    assert.instanceOf(error, SettingsError)
    assert.deepStrictEqual(error.lines, [
      "database.dsn: not set; set PG_DSN, --pg-dsn, or database.dsn in the settings file to postgres://user:password@host:5432/database"
    ])
    assert.strictEqual(Dsn.show(Result.getOrThrow(dsn)), "postgres://u@h:5432/x")
  })
})
