import { defaultSettings, settings } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Equal, Result } from "effect"
import {
  companions,
  defaultOf,
  problems,
  fileWith,
  loaded,
  samples,
  settingOf,
  valueOf
} from "./Samples.ts"

describe("Settings", () => {
  it("has unique environment variables and flags", () => {
    const variables = settings.flatMap(({ env }) => env ?? [])
    const flags = settings.flatMap(({ flags }) => flags)
    assert.strictEqual(new Set(variables).size, variables.length)
    assert.strictEqual(new Set(flags).size, flags.length)
    assert.strictEqual(new Set(settings.map(({ key }) => key)).size, settings.length)
  })

  it("derives the names from the keys, except for the established names", () => {
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

  it("has the documented defaults", () => {
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

  it("describes each setting in whole sentences", () => {
    for (const { description, key } of settings) {
      assert.match(description, /^[A-Z][^\n]*\.$/, key)
    }
  })

  it("accepts its own examples", () => {
    for (const setting of settings) {
      if (setting.example === undefined) continue
      const env = companions[setting.key] ?? {}
      assert.deepStrictEqual(
        problems({ file: { name: "f", text: fileWith(setting, setting.example) }, env }),
        []
      )
    }
  })

  it("accepts the displayed form of every default", () => {
    for (const setting of settings) {
      if (setting.default === undefined) continue
      const from = loaded({ file: { name: "f", text: fileWith(setting, setting.default) } })
      assert.isTrue(Equal.equals(valueOf(from, setting), defaultOf(setting)), setting.key)
    }
  })

  it.each(settings.map((setting) => [setting.key, setting] as const))(
    "%s parses what it formats, even through JSON",
    (_, setting) => {
      for (const sample of samples(setting)) {
        const value: unknown = Result.getOrThrow(setting.type.parse(sample))
        const formatted = JSON.parse(JSON.stringify(setting.type.format(value)))
        assert.isTrue(Equal.equals(Result.getOrThrow(setting.type.parse(formatted)), value))
      }
    }
  )
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
  ])("parses %j", (text, milliseconds) => {
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
  ])("rejects %j", (text) => {
    const [line = ""] = problems(one("relay-stall-timeout", text))
    assert.match(
      line,
      /^relay\.stallTimeout \(from --relay-stall-timeout\): ".*" is not a duration; examples: 10 seconds, 500ms, 2 min$/
    )
  })

  it("requires a unit, in a text and in YAML", () => {
    const problem = "has no unit; examples: 10 seconds, 500ms, 2 min"
    assert.deepStrictEqual(problems(one("relay-stall-timeout", "5")), [
      `relay.stallTimeout (from --relay-stall-timeout): "5" ${problem}`
    ])
    assert.deepStrictEqual(
      problems({ file: { name: "f.yaml", text: "relay:\n  stallTimeout: 5" } }),
      [`relay.stallTimeout (from f.yaml:2): 5 ${problem}`]
    )
  })

  it("rejects durations that exceed a timer, and intervals that are too short", () => {
    assert.match(
      problems(one("relay-stall-timeout", "25 days")).join(),
      /25 days is out of range \(1 ms to 24 days\)$/
    )
    assert.match(
      problems(one("database-poll-interval", "99ms")).join(),
      /99 ms is out of range \(100 ms to 24 days\)$/
    )
    assert.deepStrictEqual(problems(one("relay-kill-grace", "0s")), [])
  })
})

describe("numbers, words and lists", () => {
  it.each([
    ["media-server-port", "99999x", '"99999x" is not a whole number'],
    ["media-server-port", "65536", "65536 is out of range (1 to 65535)"],
    ["media-server-port", "0", "0 is out of range (1 to 65535)"],
    ["media-server-port", "-1", "-1 is out of range (1 to 65535)"],
    ["media-server-port", "8554.5", '"8554.5" is not a whole number'],
    ["media-server-port", "0x10", '"0x10" is not a whole number'],
    ["media-server-port", "", '"" is not a whole number'],
    ["probe-jitter", "1.1", "1.1 is out of range (0 to 1)"],
    ["probe-jitter", "-0.1", "-0.1 is out of range (0 to 1)"],
    ["probe-jitter", "NaN", '"NaN" is not a number'],
    ["relay-coalescing", "1s", "1 second is out of range (0 ms to 50 ms)"],
    ["database-listen", "maybe", '"maybe" is not true or false'],
    ["camera-engine", "nativ", '"nativ" is not one of auto, native, ffmpeg; did you mean native?'],
    ["log-file-max-size", "10", '"10" has no unit; examples: 10 MB, 16MiB'],
    ["log-file-max-size", "10 M", '"10 M" is not a size; examples: 10 MB, 16MiB'],
    ["log-file-max-size", "1 B", "1 B is out of range (1 kB to 1 TB)"],
    ["database-channel", "a-b", '"a-b" is not a channel name (a letter or _'],
    ["database-channel", "x".repeat(64), `"${"x".repeat(40)}…" is not a channel name`],
    ["cluster-table-prefix", "video.restream", '"video.restream" is not a prefix for names of'],
    [
      "cluster-table-prefix",
      "x".repeat(41),
      `"${"x".repeat(40)}…" is not a prefix for names of tables`
    ],
    ["database-table", "a;b", '"a;b" is not a table name, such as cameras'],
    ["database-query", "DELETE FROM cameras", "the value is not a query that begins with SELECT"],
    [
      "media-server-host",
      "rtsp://mtx:8554",
      '"rtsp://mtx:8554" is not a host name or an IP address (without scheme and port)'
    ],
    ["media-server-host", "-mtx", '"-mtx" is not a host name'],
    ["media-server-path-template", "cameras", '"cameras" is not a path with a column in braces'],
    ["media-server-path-template", "/cam{id}", '"/cam{id}" is not a path with a column in braces'],
    ["media-server-path-template", "cam {id}", '"cam {id}" is not a path with a column in braces'],
    ["media-server-fingerprint", "ab:cd", '"ab:cd" is not a SHA-256 fingerprint'],
    ["log-file", "a\nb", '"a\\nb" is not a path'],
    ["probe-retry-delays", "", "the list is empty"],
    ["probe-retry-delays", "1s,,2s", 'item 2: "" is not a duration; examples: 10 seconds']
  ])("rejects --%s %j", (flag, value, message) => {
    const [line = "", ...more] = problems(one(flag, value))
    assert.include(line, `(from --${flag}): ${message}`)
    assert.deepStrictEqual(more, [])
  })

  it.each([
    ["8554.5", "8554.5 is not a whole number"],
    ["1e9", "1000000000 is out of range (1 to 65535)"],
    ["-1", "-1 is out of range (1 to 65535)"],
    [".nan", "NaN is not a whole number"],
    [".inf", "Infinity is not a whole number"],
    ["[1]", "the value is not a whole number"],
    ["true", "true is not a whole number"],
    ["{}", "the value is not a whole number"]
  ])("rejects the port %s in a file", (value, message) => {
    assert.deepStrictEqual(
      problems({ file: { name: "f", text: `mediaServer:\n  port: ${value}` } }),
      [`mediaServer.port (from f:2): ${message}`]
    )
  })

  it("parses booleans as PostgreSQL does", () => {
    for (const [text, value] of Object.entries({
      true: true,
      t: true,
      1: true,
      YES: true,
      y: true,
      on: true,
      false: false,
      F: false,
      0: false,
      no: false,
      n: false,
      Off: false
    })) {
      assert.strictEqual(loaded(one("database-listen", text)).settings.database.listen, value)
      const file = { name: "f", text: `database:\n  listen: ${text}` }
      assert.strictEqual(loaded({ file }).settings.database.listen, value)
    }
  })

  it("parses lists from YAML and from texts with commas", () => {
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

  it("removes the semicolon of a query and the colons of a fingerprint", () => {
    const from = loaded({ env: { RESTREAM_DATABASE_QUERY: "SELECT ';' AS x ; " } })
    assert.strictEqual(from.settings.database.query, "SELECT ';' AS x")
    const text = `mediaServer: { scheme: rtsps, fingerprint: "${Array(32).fill("ab").join(":")}" }`
    assert.strictEqual(
      loaded({ file: { name: "f", text } }).settings.mediaServer.fingerprint,
      "AB".repeat(32)
    )
  })
})
