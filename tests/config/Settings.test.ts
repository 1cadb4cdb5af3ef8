import { defaultSettings, Settings, settingFlags, settings } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Equal, Redacted, Schema } from "effect"
import * as fc from "fast-check"
import {
  companions,
  defaultOf,
  faults,
  fileWith,
  loaded,
  samples,
  settingOf,
  valueOf
} from "./Given.ts"

describe("Settings", () => {
  it("names every environment variable and every flag once", () => {
    const variables = settings.flatMap(({ env }) => env ?? [])
    const flags = settings.flatMap(({ flags }) => flags)
    assert.strictEqual(new Set(variables).size, variables.length)
    assert.strictEqual(new Set(flags).size, flags.length)
    assert.strictEqual(new Set(settings.map(({ key }) => key)).size, settings.length)
  })

  it("makes the names from the keys, and keeps the old ones", () => {
    const names = (key: string) => [settingOf(key).env, ...settingOf(key).flags]
    assert.deepStrictEqual(names("database.dsn"), ["PG_DSN", "pg-dsn", "pg_dsn"])
    assert.deepStrictEqual(names("mediaServer.host"), ["MEDIA_SERVER_HOST", "media-server-host"])
    assert.deepStrictEqual(names("mediaServer.port"), ["MEDIA_SERVER_PORT", "media-server-port"])
    assert.deepStrictEqual(names("database.pollInterval"), [
      "RESTREAM_DATABASE_POLL_INTERVAL",
      "database-poll-interval"
    ])
    assert.deepStrictEqual(names("ffmpeg.path"), ["RESTREAM_FFMPEG_PATH", "ffmpeg-path"])
    assert.deepStrictEqual(names("cameraTypes"), [undefined])
  })

  it("offers a flag for every setting that has a form as one text", () => {
    assert.deepStrictEqual(
      settingFlags.map(({ key }) => key),
      settings.flatMap(({ env, key }) => (env === undefined ? [] : [key]))
    )
    const dsn = settingFlags.find(({ key }) => key === "database.dsn")
    assert.deepStrictEqual([dsn?.name, dsn?.aliases], ["pg-dsn", ["pg_dsn"]])
    const poll = settingFlags.find(({ key }) => key === "database.pollInterval")
    assert.include(
      poll?.description ?? "",
      "Default: 10 seconds. Environment: RESTREAM_DATABASE_POLL_INTERVAL."
    )
  })

  it("has the defaults that the design states", () => {
    const { database, log, mediaServer, probe, relay } = defaultSettings
    assert.deepStrictEqual(
      [mediaServer.host, mediaServer.port, mediaServer.pathTemplate],
      ["127.0.0.1", 8554, "cam{id}"]
    )
    assert.deepStrictEqual(
      [database.dsn, database.table, database.channel],
      [undefined, "cameras", "restream_cameras"]
    )
    assert.deepStrictEqual(probe.retryDelays.map(Duration.toSeconds), [1, 2, 4, 8, 16, 30])
    assert.strictEqual(Duration.toMinutes(probe.lockoutDelay), 5)
    assert.deepStrictEqual(
      [Duration.toSeconds(relay.restartDelay), relay.restartBackoff],
      [5, true]
    )
    assert.deepStrictEqual([log.fileMaxSize, Duration.toHours(log.fileMaxAge)], [10_000_000, 24])
  })

  it("says what each setting is in whole sentences", () => {
    for (const { description, key } of settings) {
      assert.match(description, /^(?:[A-Z]|ff)[^\n]*\.$/, key)
    }
  })

  it("takes every example that it shows", () => {
    for (const setting of settings) {
      if (setting.example === undefined) continue
      const env = companions[setting.key] ?? {}
      assert.deepStrictEqual(
        faults({ file: { name: "f", text: fileWith(setting, setting.example) }, env }),
        []
      )
    }
  })

  it("takes every default in the form in which it is shown", () => {
    for (const setting of settings) {
      if (setting.default === undefined) continue
      const from = loaded({ file: { name: "f", text: fileWith(setting, setting.default) } })
      assert.isTrue(Equal.equals(valueOf(from, setting), defaultOf(setting)), setting.key)
    }
  })

  it("comes back the same after it was encoded, even through JSON", () => {
    const any = fc.record(
      Object.fromEntries(
        settings.map((one) => [
          one.key,
          fc.option(fc.constantFrom(...samples(one)), { nil: undefined })
        ])
      )
    )
    fc.assert(
      fc.property(any, fc.string(), (values, password) => {
        const tree: Record<string, any> = {}
        for (const { key, path } of settings) {
          const [group = "", name] = path
          if (values[key] === undefined) continue
          if (name === undefined) tree[group] = values[key]
          else (tree[group] ??= {})[name] = values[key]
        }
        // what contradicts another setting is left to the loader's tests
        tree["mediaServer"] = {
          ...tree["mediaServer"],
          scheme: "rtsps",
          insecure: false,
          username: "u",
          password
        }
        const decoded = Schema.decodeSync(Settings)(tree)
        const encoded = Schema.encodeSync(Settings)(decoded)
        assert.isTrue(Equal.equals(Schema.decodeSync(Settings)(encoded), decoded))
        const copy = Schema.decodeUnknownSync(Settings)(JSON.parse(JSON.stringify(encoded)))
        assert.isTrue(Equal.equals(copy, decoded))
        assert.strictEqual(
          copy.mediaServer.password && Redacted.value(copy.mediaServer.password),
          password
        )
      })
    )
  })
})

const one = (flag: string, value: string) => ({ flags: { [flag]: value } })

describe("durations", () => {
  it.each([
    ["10 seconds", 10_000],
    ["5s", 5000],
    ["5 S", 5000],
    ["500ms", 500],
    ["500 millis", 500],
    ["2 min", 120_000],
    ["2m", 120_000],
    ["1 minute", 60_000],
    ["1.5 h", 5_400_000],
    ["0.1s", 100],
    ["1.005s", 1005],
    ["1day", 86_400_000],
    ["1 week", 604_800_000],
    [" 3  sec ", 3000]
  ])("reads %j", (text, milliseconds) => {
    const { relay } = loaded(one("relay-stall-timeout", text)).settings
    assert.strictEqual(Duration.toMillis(relay.stallTimeout), milliseconds)
  })

  it.each([
    "",
    "s",
    "-5s",
    "+5s",
    "5 lightyears",
    "5s5",
    "1h30m",
    "1,5s",
    "1e3s",
    "Infinity",
    "0.0001s",
    "99999999999999999s"
  ])("refuses %j", (text) => {
    const [line = ""] = faults(one("relay-stall-timeout", text))
    assert.match(
      line,
      /^relay\.stallTimeout \(from --relay-stall-timeout\): expected a duration such as "10 seconds"/
    )
  })

  it("asks for the unit of a bare number, from a text and from YAML", () => {
    const words = 'expected a duration with its unit, such as "10 seconds" or "500ms", not'
    assert.deepStrictEqual(faults(one("relay-stall-timeout", "5")), [
      `relay.stallTimeout (from --relay-stall-timeout): ${words} "5"`
    ])
    assert.deepStrictEqual(
      faults({ file: { name: "f.yaml", text: "relay:\n  stallTimeout: 5" } }),
      [`relay.stallTimeout (from f.yaml:2): ${words} 5`]
    )
  })

  it("refuses what no timer holds, and what would keep a processor busy", () => {
    assert.match(faults(one("relay-stall-timeout", "25 days")).join(), /from 1 ms to 24 days/)
    assert.match(faults(one("database-poll-interval", "99ms")).join(), /from 100 ms to 24 days/)
    assert.deepStrictEqual(faults(one("relay-kill-grace", "0s")), [])
  })
})

describe("numbers, words and lists", () => {
  it.each([
    ["media-server-port", "99999x", "a whole number from 1 to 65535"],
    ["media-server-port", "65536", "a whole number from 1 to 65535"],
    ["media-server-port", "0", "a whole number from 1 to 65535"],
    ["media-server-port", "8554.5", "a whole number from 1 to 65535"],
    ["media-server-port", "0x10", "a whole number from 1 to 65535"],
    ["media-server-port", "", "a whole number from 1 to 65535"],
    ["probe-jitter", "1.1", "a number from 0 to 1"],
    ["probe-jitter", "-0", "a number from 0 to 1"],
    ["probe-jitter", "NaN", "a number from 0 to 1"],
    ["relay-coalescing", "1s", "a duration from 0 ms to 50 ms"],
    ["database-listen", "maybe", "true or false"],
    ["camera-engine", "nativ", "auto, native or ffmpeg"],
    ["log-file-max-size", "10", 'a size with its unit, such as "10 MB" or "16MiB"'],
    ["log-file-max-size", "10 M", 'a size with its unit, such as "10 MB" or "16MiB"'],
    ["log-file-max-size", "1 B", "a size from 1 kB to 1 TB"],
    ["database-channel", "a-b", "a channel name: a letter or _"],
    ["database-channel", "x".repeat(64), "a channel name: a letter or _"],
    ["database-table", "a;b", "a table such as cameras"],
    ["database-table", 'a."b', "a table such as cameras"],
    ["database-table", "a.b.c", "a table such as cameras"],
    ["database-query", "DELETE FROM cameras", "a query that begins with SELECT or WITH"],
    [
      "media-server-host",
      "rtsp://mtx:8554",
      "a host name or an IP address, without scheme and port"
    ],
    ["media-server-path-template", "cameras", "a path with a column in braces such as cam{id}"],
    ["media-server-path-template", "/cam{id}", "a path with a column in braces such as cam{id}"],
    ["media-server-path-template", "cam {id}", "a path with a column in braces such as cam{id}"],
    ["media-server-fingerprint", "ab:cd", "a SHA-256 fingerprint"],
    ["log-file", "a\nb", "a path"],
    ["probe-retry-delays", "", "a list that is not empty"],
    ["probe-retry-delays", "1s,,2s", "item 2 to be a duration"]
  ])("refuses --%s %j", (flag, value, words) => {
    const [line = "", ...more] = faults(one(flag, value))
    assert.include(line, `(from --${flag}): expected ${words}`)
    assert.deepStrictEqual(more, [])
  })

  it.each(["8554.5", "1e9", "-1", ".nan", ".inf", "[1]", "true", "{}"])(
    "refuses the port %s of a file",
    (value) => {
      const [line = ""] = faults({ file: { name: "f", text: `mediaServer:\n  port: ${value}` } })
      assert.include(line, "mediaServer.port (from f:2): expected a whole number from 1 to 65535")
    }
  )

  it("reads booleans in the words that people use", () => {
    for (const [text, value] of Object.entries({
      true: true,
      1: true,
      YES: true,
      on: true,
      false: false,
      0: false,
      no: false,
      Off: false
    })) {
      assert.strictEqual(loaded(one("database-listen", text)).settings.database.listen, value)
      assert.strictEqual(
        loaded({ file: { name: "f", text: `database:\n  listen: ${text}` } }).settings.database
          .listen,
        value
      )
    }
  })

  it("reads lists from commas and from YAML alike", () => {
    const file = {
      name: "f",
      text: "plugins: [./a.js, b]\nprobe:\n  retryDelays:\n    - 1s\n    - 2 min"
    }
    const env = { RESTREAM_PLUGINS: "./a.js, b", RESTREAM_PROBE_RETRY_DELAYS: "1s,2 min" }
    for (const from of [loaded({ file }), loaded({ env })]) {
      assert.deepStrictEqual(from.settings.plugins, ["./a.js", "b"])
      assert.deepStrictEqual(from.settings.probe.retryDelays.map(Duration.toSeconds), [1, 120])
    }
    assert.deepStrictEqual(loaded({ flags: { plugins: "" } }).settings.plugins, [])
  })

  it("keeps a query as it is but for its semicolon, and a fingerprint without its colons", () => {
    const from = loaded({ env: { RESTREAM_DATABASE_QUERY: "SELECT ';' AS x ; " } })
    assert.strictEqual(from.settings.database.query, "SELECT ';' AS x")
    const text = `mediaServer: { scheme: rtsps, fingerprint: "${Array(32).fill("ab").join(":")}" }`
    assert.strictEqual(
      loaded({ file: { name: "f", text } }).settings.mediaServer.fingerprint,
      "AB".repeat(32)
    )
  })
})
