/** Rows that make no camera, too many rows, and rows written by somebody who means harm. */
import { assert, layer } from "@effect/vitest"
import type { CameraRow } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { childrenOf, commandOf } from "../kit/Proc.ts"
import { start as startProgram } from "../kit/Spawn.ts"
import { Postgres } from "../kit/Postgres.ts"
import { program } from "../kit/Program.ts"
import { restream } from "../kit/Command.ts"
import * as QuickTree from "./QuickTree.ts"
import {
  addRows,
  database,
  type Installation,
  row,
  settingsOf,
  start
} from "../kit/Installation.ts"

const count = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

/** Rows that make no camera, each in its way; the number tells them apart. */
const bad: ReadonlyArray<(n: number) => CameraRow> = [
  () => ({}),
  () => ({ id: null, name: null, type: null, url: null, path: null, enabled: null, options: null }),
  (n) => ({ id: `n${n}` }),
  (n) => ({ id: `t${n}`, type: "toaster", url: "rtsp://10.0.0.1/live" }),
  (n) => ({ id: `u${n}`, url: "not an address" }),
  (n) => ({ id: `f${n}`, url: "file:///etc/passwd" }),
  (n) => ({ id: `a${n}`, url: "-i /etc/passwd" }),
  (n) => ({ id: `c${n}`, url: "concat:/etc/passwd|/etc/hosts" }),
  (n) => ({ id: `p${n}`, url: "rtsp://10.0.0.1/live", path: `../${n}` }),
  (n) => ({ id: `s${n}`, url: "rtsp://10.0.0.1/live", path: `a b ${n}` }),
  (n) => ({ id: `o${n}`, url: "rtsp://10.0.0.1/live", options: ["native"] }),
  (n) => ({ id: `k${n}`, url: "rtsp://10.0.0.1/live", options: { sound: "off" } }),
  (n) => ({ id: `e${n}`, url: "rtsp://10.0.0.1/live", enabled: "perhaps" }),
  (n) => ({ id: `h${n}`, type: "hikvision" }),
  (n) => ({ id: `z${n}`, url: "rtsp://10.0.0.1:99999/live" }),
  (n) => ({ id: `x${n}`, url: "rtsp://10.0.0.1\n\u001b[2J/live" }),
  (n) => ({ id: `l${n}`, url: "rtsp://a%0d%0aTeardown:b@10.0.0.1/live" }),
  (n) => ({ id: `v${n}`, type: "axis", host: "10.0.0.1", username: "a\r\nX: y", password: "b" }),
  // the path and the id of a good one, which the order of the addresses gives to the good one
  () => ({ id: `zz`, url: "rtsp://10.0.0.1/live", path: "cam1" }),
  () => ({ id: `1`, url: "rtsp://10.9.0.1/live", path: "other" })
]

/** Control characters, line breaks and whatever turns a terminal's text around. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/

/** How a line of the log begins, by its format. */
const begins = { pretty: /^\d\d:\d\d:\d\d [A-Z]+ /, logfmt: /^time=/, json: /^\{"time":/ }

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("rows", (it) => {
  it.effect("of which a thousand are invalid leave the thousand valid ones running", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      yield* sql`create table wild (id text, name text, type text, url text, host text, port text,
        path text, username text, password text, enabled text, options jsonb)`
      const good = count(1, 1001).map((id) =>
        row(id, `rtsp://10.1.${Math.floor(id / 256)}.${id % 256}/live`)
      )
      const spoilt = count(0, 1000).map((n) => bad[n % bad.length]!(n))
      const mixed = good.flatMap((one, n) => [spoilt[n]!, one])
      yield* sql`insert into wild select * from
        json_populate_recordset(null::wild, ${JSON.stringify(mixed)}::json)`
      const query = "select * from wild"
      const { awaitLive, status, log } = yield* QuickTree.make(
        settingsOf(dsn, 1, { database: { query } })
      )
      yield* awaitLive(1000)
      assert.deepStrictEqual((yield* status.countByState) as object, { Live: 1000, Invalid: 1000 })
      for (const { id, state } of yield* status.all) {
        if (state._tag !== "Invalid") continue
        assert.isNotEmpty(state.problem, id)
        assert.notMatch(state.problem, control)
      }
      // each bad row is logged once, those with the same problem together; and no line is two
      const logged = () =>
        log
          .matching(/^Warn .*: invalid: /)
          .reduce((sum, line) => sum + Number(/^Warn (\d+) cameras/.exec(line)?.[1] ?? 1), 0)
      yield* Effect.repeat(Effect.sleep("50 millis"), { until: () => logged() >= 1000 })
      assert.strictEqual(logged(), 1000)
      for (const line of log.lines()) assert.notMatch(line, control)
      for (const line of log.lines()) assert.notMatch(line, /\n/)
      assert.lengthOf(log.matching(/^Error/), 0)
    })
  )

  it.effect("by the ten thousand are read without blocking the event loop", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      yield* sql`insert into cameras (name, url)
        select 'Camera ' || n, 'rtsp://10.' || n / 65536 || '.' || n / 256 % 256 || '.' || n % 256 || '/live'
        from generate_series(1, 10000) n`
      const delay = monitorEventLoopDelay({ resolution: 5 })
      delay.enable()
      let since = performance.now()
      const spent = () => {
        const result = { ms: performance.now() - since, lateMs: delay.max / 1e6 }
        since = performance.now()
        delay.reset()
        return result
      }
      const { awaitLive, fake } = yield* QuickTree.make(
        // all rows go at once, on purpose
        settingsOf(dsn, 1, { supervisor: { maxStopFraction: 1 } })
      )
      yield* awaitLive(10_000)
      const added = spent()
      yield* sql`update cameras set enabled = false where id > 5000`
      yield* awaitLive(5000)
      const halved = spent()
      yield* sql`delete from cameras`
      yield* awaitLive(0)
      const removed = spent()
      const all = Object.entries({ added, halved, removed })
      console.log(
        `10,000 rows: ${all.map(([what, { lateMs, ms }]) => `${what} in ${Math.round(ms)} ms, the loop late by ${Math.round(lateMs)} ms at most`).join("; ")}`
      )
      for (const [what, { lateMs }] of all) assert.isBelow(lateMs, 5000, what)
      assert.isTrue([...fake.mostAtATime.values()].every((most) => most === 1))
    })
  )

  it.effect(
    "with hostile names, passwords and paths do no harm",
    () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const trap = join(tmpdir(), `rt${process.pid}`)
        const words = [
          `a\nERROR forged line`,
          `b\r\n\u001b[2J\u001b[1;31mred\u0007`,
          `c $(touch ${trap}) \`id\` ; & | > x`,
          `d' ; drop table cameras; -- "quoted" \\`,
          `e\u202eesrever\u2066\u2028next`,
          `f -y -f null - {id} %s %n \${IFS}`
        ]
        // a password may hold anything but control characters; a row whose password does is invalid
        const passwordOf = (word: string) => word.replaceAll(/\p{Cc}/gu, "")
        const authentication = (word: string) => ({
          authentication: { username: "admin", password: Redacted.make(passwordOf(word)) }
        })
        const camera = yield* RtspServer.make({
          resolve: () => "cam",
          settings: (path) => {
            const n = Number(/\?(\d+)/.exec(path)?.[1] ?? "1")
            return authentication(words[(n - 1) % words.length]!)
          }
        })
        yield* TestPattern.publish(camera, "cam")
        const sink = yield* RtspServer.make()
        const ids = count(1, 2 * words.length + 1)
        yield* addRows(
          sql,
          ids.map((id) => {
            const word = words[(id - 1) % words.length]!
            const secret = encodeURIComponent(passwordOf(word))
            return row(id, camera.url(`cam?${id}`).replace("//", `//admin:${secret}@`), {
              name: word,
              options: { engine: id > words.length ? "ffmpeg" : "native" }
            })
          })
        )
        const tree: Installation = yield* start(
          settingsOf(dsn, sink.port, { probe: { perHost: 12 } })
        )
        yield* Effect.forEach(ids, (id) => tree.awaitState(id, "Live"))
        for (const line of tree.log.lines()) assert.notMatch(line, control)
        for (const line of tree.log.lines()) assert.notMatch(line, /\n/)
        assert.strictEqual(
          (yield* sql`select count(*)::int as rows from cameras`)[0]?.["rows"],
          ids.length
        )
        // each ffmpeg has its address as one word, and no word beside
        const argv = childrenOf(process.pid)
          .map(commandOf)
          .filter((words) => words[0]?.endsWith("ffmpeg") === true)
        assert.lengthOf(argv, words.length)
        for (const argument of argv) {
          assert.lengthOf(
            argument.filter((word) => word.startsWith("rtsp://")),
            2,
            argument.join(" ")
          )
          assert.notInclude(argument, "-y")
          assert.isTrue(argument.every((word) => !control.test(word) && !word.includes(trap)))
        }

        // what an operator sees: the table, the document, and the log of the daemon
        yield* sql`delete from cameras where id > ${words.length}`
        const env = { MEDIA_SERVER_PORT: String(sink.port) }
        const daemon = (format: keyof typeof begins) =>
          Effect.gen(function* () {
            const {
              awaitSaid,
              ended,
              process: child,
              said
            } = yield* startProgram(process.execPath, [program, "run"], {
              cwd: tmpdir(),
              env: {
                ...env,
                PG_DSN: Redacted.value(dsn),
                RESTREAM_LOG_FORMAT: format,
                // each its own paths, or they would put each other out
                RESTREAM_MEDIA_SERVER_PATH_TEMPLATE: `${format}{id}`
              }
            })
            yield* awaitSaid(/live: /)
            child.kill("SIGTERM")
            yield* ended
            for (const line of said().trimEnd().split("\n")) {
              assert.notMatch(line, control)
              assert.match(line, begins[format])
            }
          })
        const check = (...more: ReadonlyArray<string>) =>
          restream(["check", ...more], { PG_DSN: Redacted.value(dsn), ...env })
        const [table, json] = yield* Effect.all(
          [check(), check("--json"), daemon("pretty"), daemon("logfmt"), daemon("json")],
          { concurrency: "unbounded" }
        )
        assert.notMatch(table.stdout, control)
        assert.lengthOf(table.stdout.trimEnd().split("\n"), words.length + 1)
        const { cameras } = JSON.parse(json.stdout) as { cameras: ReadonlyArray<object> }
        assert.lengthOf(cameras, words.length)
        assert.isFalse(existsSync(trap))
      }),
    120_000
  )
})
