/** Sample values for every setting, and helpers to inspect loaded settings. */
import {
  defaultSettings,
  load,
  type LoadedSettings,
  settings,
  type Sources
} from "@restream/config"
import { assert } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { inspect } from "node:util"

export type Setting = (typeof settings)[number]

/** Samples of the settings whose type has a syntax of its own. A new setting with such a type needs a line here. */
const special: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  "database.dsn": [
    "postgres://a@one/x",
    "postgresql://b:p%40ss@two:6432/y?sslmode=require",
    "postgres:///db?host=/run/pg"
  ],
  "database.table": ["one", "video.cameras", 'video."Cameras"'],
  "database.statusTable": ["states", "ops.states", 'ops."States"'],
  "database.query": ["SELECT 1", "WITH x AS (SELECT 2) SELECT * FROM x", "-- why\nTABLE cameras"],
  "database.channel": ["one", "two_2", "Three"],
  "cluster.name": ["node-a", "node_b.example", "10.0.0.1@2"],
  "cluster.workers": ["auto", "2", "64"],
  "cluster.tablePrefix": ["one", "two_2", "Three"],
  "source.file": ["cameras.yaml", "/etc/restream/cameras.csv", "a b.JSON"],
  "mediaServer.host": ["mtx", "10.0.0.1", "::1"],
  "mediaServer.pathTemplate": ["a{id}", "{name}/{id}", "site-4/{id}"],
  "cluster.apiUrl": ["http://10.0.0.5:9995", "https://node-a.example"],
  "otlp.url": ["http://127.0.0.1:4318", "https://otel.example/otlp"],
  "otlp.headers": ["authorization=Bearer token", "a=1, b-c=x=y,", "x=y"],
  "alerts.quietHours": ["22:00-06:00", "00:00 - 07:30"],
  "alerts.webhooks": [
    '[{"name": "own", "url": "https://alerts.example/a", "secret": "signed"}]',
    '[{"name": "ops", "url": "https://hooks.slack.com/services/T0/B0/x", "format": "slack"}]',
    '[{"name": "a", "url": "https://ntfy.sh/t", "format": "ntfy"}, {"name": "b", "url": "http://b/"}]'
  ],
  "http.host": ["10.0.0.1", "10.0.0.2", "::"],
  "mediaServer.fingerprint": ["a1".repeat(32), "b2".repeat(32), Array(32).fill("C3").join(":")],
  "mediaServer.apiUrl": [
    "http://127.0.0.1:9997",
    "https://operator:p%40ss@mtx/api",
    "http://[::1]:9997"
  ],
  "mediaServer.webrtcUrl": ["http://mtx:8889", "https://video.example/webrtc"],
  "mediaServer.hlsUrl": ["http://mtx:8888", "https://[::1]:8888"],
  "mediaServer.rtspUrl": ["rtsp://mtx:8554", "rtsps://10.0.0.1"],
  "device.maxSessions": [{ "10.0.0.*": 32 }, { nvr1: 8, "*": "64" }],
  "relay.coalescing": ["0 ms", "5ms", "0.02 s"],
  mediaServers: [
    '{"hall": {"host": "10.0.0.11"}, "yard": {"host": "10.0.0.12", "port": 8555, "weight": 2}}',
    '{"a": {"host": "mtx", "scheme": "rtsps", "insecure": true, "username": "u", "password": "p"}}',
    '{"b": {"host": "::1", "apiUrl": "http://u:p@[::1]:9997"}}'
  ],
  cameraTypes: [{ a: "rtsp://{host}" }, { b: "rtsp://{host}/1", c: "http://{host}" }],
  "log.modules": [{ camera: "debug" }, { source: "warn", engine: "error" }]
}

const forms: ReadonlyArray<readonly [RegExp, (match: RegExpExecArray) => ReadonlyArray<unknown>]> =
  [
    [/^(\d+) to 1$/, () => ["0", "0.25", "1"]],
    [/^(\d+) to (\d+)$/, ([, least, most]) => [least, most]],
    [/^duration$/, () => ["1 min", "90s", "1.5 h"]],
    [/^list of durations$/, () => ["1s", "1 s, 2min", "500ms,500ms,1 day"]],
    [/^list of texts$/, () => ["one", "one, two"]],
    [/^size$/, () => ["1 MB", "16MiB", "5 kb"]],
    [/^text$/, () => ["one", "two", "three 3"]],
    [/^\w+( \| \w+)+$/, ([all]) => all.split(" | ")]
  ]

/** Different valid values of the setting, as texts where possible. */
export const samples = (setting: Setting): ReadonlyArray<unknown> => {
  const own = special[setting.key]
  if (own !== undefined) return own
  for (const [pattern, make] of forms) {
    const match = pattern.exec(setting.type.values)
    if (match !== null) return make(match)
  }
  return assert.fail(
    `tests/config/Samples.ts has no samples of ${setting.key} (${setting.type.values})`
  )
}

/** A file that sets one key. JSON is valid YAML. */
export const fileWith = (setting: Setting, value: unknown): string =>
  setting.path.length === 1
    ? `${setting.path[0]}: ${JSON.stringify(value)}\n`
    : `${setting.path[0]}:\n  ${setting.path[1]}: ${JSON.stringify(value)}\n`

/** The variables that some settings require. */
export const companions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "mediaServer.password": { RESTREAM_MEDIA_SERVER_USERNAME: "someone" },
  "http.host": { RESTREAM_HTTP_TOKEN: "a token" },
  "mediaServer.fingerprint": { RESTREAM_MEDIA_SERVER_SCHEME: "rtsps" },
  "failover.after": { RESTREAM_MEDIA_SERVERS: '{"a": {"host": "one"}, "b": {"host": "two"}}' }
}

export const loaded = (sources: Sources): LoadedSettings =>
  Result.getOrThrowWith(load(sources), (error) => new Error(error.message))

/** The lines of the problems. */
export const problems = (sources: Sources): ReadonlyArray<string> =>
  Result.match(load(sources), { onSuccess: () => [], onFailure: (error) => error.lines })

export const valueOf = ({ settings }: LoadedSettings, { path }: Setting): unknown =>
  path.reduce((value, name) => (value as Record<string, unknown>)[name], settings as unknown)

export const defaultOf = (setting: Setting): unknown =>
  valueOf({ settings: defaultSettings, origins: new Map() }, setting)

export const settingOf = (key: string): Setting =>
  settings.find((one) => one.key === key) ?? assert.fail(`no setting ${key}`)

/** All ways to print a value. */
export const renderings = (value: unknown): string => {
  const shown = [
    inspect(value, { depth: null, showHidden: true, getters: true }),
    inspect(value, { depth: null, customInspect: false, showHidden: true }),
    JSON.stringify(value),
    String(value)
  ]
  if (value instanceof Error) {
    shown.push(value.message, String(value.stack), inspect(value.cause), value.toString())
  }
  return shown.join("\n")
}

const marks = ["kXq7", "Wz0v"] as const

/** Passwords with characters that are special in URLs or YAML, and with marks that reveal a leak. */
export const markedPassword = fc
  .array(
    fc.tuple(
      fc.oneof(
        fc.constantFrom(
          ..."/#?%@:&=+[],; \\'\"*!|>{}-.~",
          "1",
          "5432",
          "%41",
          "%4",
          "%zz",
          "ß",
          "🎥"
        ),
        fc.string({ maxLength: 3, unit: "grapheme" })
      ),
      fc.constantFrom(...marks)
    ),
    { minLength: 1, maxLength: 4 }
  )
  .map((pieces) => pieces.flat().join(""))

export const assertHidden = (text: string): void => {
  for (const mark of marks) {
    const at = text.toLowerCase().indexOf(mark.toLowerCase())
    if (at !== -1)
      assert.fail(`shows a part of the password: …${text.slice(Math.max(0, at - 80), at + 20)}…`)
  }
}
