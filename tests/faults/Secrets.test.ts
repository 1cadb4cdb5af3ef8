/**
 * Planted passwords, through every fault: in the user-info, the path and the query of addresses, in the
 * database's address, and in the media server's credentials. Each holds the same word, which must be found
 * nowhere that anybody reads.
 */
import { assert, layer } from "@effect/vitest"
import { freePort, type Quirks, RtspServer, TestPattern } from "@restream/core/testing"
import { type CameraRow, CameraState, StatusTable } from "@restream/core"
import { Effect, Exit, Redacted, Scope } from "effect"
import { inspect } from "node:util"
import { Postgres } from "../kit/Postgres.ts"
import { restream } from "../kit/Command.ts"
import {
  addRows,
  database,
  type Installation,
  row,
  settingsOf,
  start
} from "../kit/Installation.ts"

const user = "plantedUser"
const password = "planted@Info/1"
const sinkPassword = "plantedSink"
/** The word that all of them hold, and what Basic makes of the pairs. */
const planted = new RegExp(
  [
    "planted",
    Buffer.from(`${user}:${password}`).toString("base64"),
    Buffer.from(`relay:${sinkPassword}`).toString("base64")
  ].join("|"),
  "i"
)

/** The address of a server with a secret in each place that can hold one. */
const withSecrets = (url: string): string =>
  `${url.replace("//", `//${user}:${encodeURIComponent(password)}@`)}/user=admin_password=plantedPath_channel=1?user=plantedUser2&password=plantedQuery&token=plantedToken`

interface Fault {
  readonly what: string
  readonly quirks?: Quirks
  /** What the media server does to its path. */
  readonly sink?: Quirks
  readonly password?: string
}

const faults: ReadonlyArray<Fault> = [
  { what: "nothing" },
  { what: "401", password: "another" },
  { what: "404", quirks: { rejectWith: { DESCRIBE: 404 } } },
  { what: "503", quirks: { rejectWith: { PLAY: 503 } } },
  { what: "silence", quirks: { silentAt: "DESCRIBE" } },
  { what: "garbage", quirks: { garbageAt: "DESCRIBE" } },
  { what: "close", quirks: { closeAt: "DESCRIBE" } },
  { what: "close after SETUP", quirks: { closeAfterSetup: true } },
  { what: "close in a frame", quirks: { closeMidFrame: 60 } },
  { what: "freeze", quirks: { freeze: { tracks: "all", after: "1 second" } } },
  { what: "redirect", quirks: { redirect: "rtsp://u:plantedElsewhere@127.0.0.1:9/x" } },
  { what: "media server rejects", sink: { rejectWith: { ANNOUNCE: 400 } } },
  { what: "media server forbids", sink: { alwaysUnauthorized: true } },
  { what: "media server closes", sink: { closeAt: "RECORD" } }
]

/** Rows that are wrong in themselves, and hold a secret. */
const invalid: ReadonlyArray<CameraRow> = [
  { url: "rtsp//admin:planted1@10.0.0.1/live" },
  { url: "rtsp://admin:planted2@/live" },
  { url: "rtsp://admin:planted3@10.0.0.1:99999/live" },
  { url: "rtsp://admin:planted4%0d%0a@10.0.0.1/live" },
  { type: "toaster", username: "planted5", password: "planted6" },
  { type: "axis", host: "admin:planted7@10.0.0.1", password: "planted8" },
  { url: "rtsp://admin:planted9@10.0.0.1/live", path: "a b" }
]

/** All that a tree shows of itself. */
const shown = (tree: Installation) =>
  Effect.gen(function* () {
    const cameras = yield* tree.status.all
    const parts = {
      log: tree.log.everything(),
      lines: tree.log.lines().join("\n"),
      status: JSON.stringify(cameras),
      inspected: inspect([cameras, tree.history], { depth: 9, showHidden: true }),
      history: JSON.stringify(tree.history),
      words: tree.history
        .map(({ to }) => (to === undefined ? "" : CameraState.describe(to, 0)))
        .join("\n"),
      source: `${JSON.stringify(yield* tree.source.health)} ${inspect(yield* tree.source.health, { depth: 9 })}`,
      mediaServer: inspect(yield* tree.mediaServer.status, { depth: 9 })
    }
    return parts
  })

const assertClean = (parts: Readonly<Record<string, string>>) => {
  for (const [part, text] of Object.entries(parts)) {
    const at = text.search(planted)
    assert.strictEqual(at, -1, `${part}: …${text.slice(Math.max(0, at - 200), at + 60)}…`)
  }
}

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("a secret", (it) => {
  it.effect(
    "appears nowhere, in any fault",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        yield* sql`create role relay_reader login password 'plantedDsn'`
        yield* sql`grant select on cameras to relay_reader`
        for (const statement of [
          ...StatusTable.initStatements({ schema: undefined, name: "states" }),
          StatusTable.grantStatement({ schema: undefined, name: "states" }, "relay_reader")
        ]) {
          yield* sql.unsafe(statement)
        }
        const mine = Redacted.make(
          Redacted.value(dsn).replace(/\/\/[^@]*@/, "//relay_reader:plantedDsn@")
        )
        const cases = (["native", "ffmpeg"] as const).flatMap((engine) =>
          faults.map((fault) => ({ engine, fault }))
        )
        const port = yield* freePort
        const sinkScope = yield* Scope.make()
        yield* RtspServer.make({
          port,
          authentication: { username: "relay", password: Redacted.make(sinkPassword) },
          settings: (path) => ({ quirks: cases[Number(path.slice(3)) - 1]?.fault.sink })
        }).pipe(Scope.provide(sinkScope))
        const rows: Array<CameraRow> = []
        for (const [index, { engine, fault }] of cases.entries()) {
          const server = yield* RtspServer.make({
            authentication: { username: user, password: Redacted.make(fault.password ?? password) },
            settings: () => ({ quirks: fault.quirks }),
            resolve: () => "cam"
          })
          yield* TestPattern.publish(server, "cam", { frameRate: 25, keyframeEvery: 5 })
          rows.push(
            row(index + 1, withSecrets(`rtsp://127.0.0.1:${server.port}`), { options: { engine } })
          )
        }
        const refused = cases.length + 1
        rows.push(row(refused, withSecrets(`rtsp://127.0.0.1:${yield* freePort}`)))
        yield* addRows(sql, [
          ...rows,
          ...invalid.map((one, n) => ({ id: 1000 + n, name: `Bad ${n}`, ...one }))
        ])
        const credentials = { username: "relay", password: sinkPassword }
        const given = {
          mediaServer: { ...credentials, checkInterval: "1 second", checkTimeout: "1 second" },
          probe: { timeout: "3 seconds", retryDelays: ["500 millis"], concurrency: 32 },
          relay: { stallTimeout: "3 seconds", restartDelay: "500 millis", killGrace: "500 millis" },
          database: { pollInterval: "1 second", queryTimeout: "1 second", statusTable: "states" }
        }
        const tree = yield* start(settingsOf(mine, port, given))
        // every fault has come to its end
        yield* tree.until((all) =>
          cases.every(({ fault }, index) => {
            const camera = all.get(String(index + 1))
            return fault.what === "nothing"
              ? camera?.state._tag === "Live"
              : tree.history.some(
                  ({ id, to }) =>
                    id === camera?.id && (to?._tag === "Unreachable" || to?._tag === "Restarting")
                )
          })
        )
        yield* tree.awaitState(refused, "Unreachable")
        yield* tree.log.awaitLine(/: invalid: /)
        assert.lengthOf(
          (yield* tree.status.all).filter(({ state }) => state._tag === "Invalid"),
          invalid.length
        )

        const states = yield* sql<{ readonly state: string }>`select * from states`.pipe(
          Effect.delay("50 millis"),
          Effect.repeat({ until: (all) => all.length === cases.length + 1 + invalid.length })
        )
        assert.includeMembers(
          states.map(({ state }) => state),
          ["ok", "down", "invalid"]
        )
        assertClean({ "status table": inspect(states) })

        // the command line, while all of that goes wrong
        const env = {
          MEDIA_SERVER_PORT: String(port),
          RESTREAM_MEDIA_SERVER_USERNAME: "relay",
          RESTREAM_MEDIA_SERVER_PASSWORD: sinkPassword,
          RESTREAM_PROBE_TIMEOUT: "3s",
          RESTREAM_LOG_LEVEL: "trace"
        }
        const wrong = Redacted.make(Redacted.value(mine).replace("plantedDsn", "plantedWrong"))
        const broken = Redacted.make("postgres://u:planted#/?@[:broken")
        const outputs = yield* Effect.all(
          {
            check: restream(["check"], { ...env, PG_DSN: Redacted.value(mine) }),
            checkJson: restream(["check", "--json"], { ...env, PG_DSN: Redacted.value(mine) }),
            config: restream(["config"], { ...env, PG_DSN: Redacted.value(mine) }),
            configJson: restream(["config", "--json"], { ...env, PG_DSN: Redacted.value(mine) }),
            wrongPassword: restream(["check"], { ...env, PG_DSN: Redacted.value(wrong) }),
            brokenAddress: restream(["check"], { ...env, PG_DSN: Redacted.value(broken) })
          },
          { concurrency: 2 }
        )
        assert.strictEqual(outputs.check.code, 1)
        assert.include(outputs.check.stdout, "wrong user name or password")
        assert.strictEqual(outputs.wrongPassword.code, 2)
        assert.include(outputs.wrongPassword.stderr, "password authentication failed")
        assert.strictEqual(outputs.brokenAddress.code, 2)
        assert.include(outputs.config.stdout, "mediaServer.password")
        for (const [what, { stderr, stdout }] of Object.entries(outputs)) {
          assertClean({ [`${what}, stdout`]: stdout, [`${what}, stderr`]: stderr })
        }

        // the database wants another password, and the media server goes away
        yield* sql`alter role relay_reader password 'other'`
        yield* sql`select pg_terminate_backend(pid) from pg_stat_activity where usename = 'relay_reader'`
        yield* tree.log.awaitLine(/database: password authentication failed/)
        yield* Scope.close(sinkScope, Exit.void)
        yield* tree.log.awaitLine(/media server .*; cameras that are not live wait for it/)
        yield* tree.awaitState(1, "Waiting", (state) => state.for === "media server")
        assertClean(yield* shown(tree))
      }),
    120_000
  )
})
