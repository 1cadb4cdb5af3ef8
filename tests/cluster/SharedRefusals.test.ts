/** What a device refused to one node is not tried by another: on a real PostgreSQL, and by real nodes. */
import { assert, layer } from "@effect/vitest"
import {
  type CameraId,
  Cluster,
  CredentialGuard,
  Reason,
  type Refusals,
  SharedRefusals,
  StatusTable,
  StreamUrl
} from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { PgClient } from "@effect/sql-pg"
import { Duration, Effect, Redacted, Result } from "effect"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import { until } from "../kit/Eventually.ts"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import * as Site from "../kit/Site.ts"

const wrong = new Reason.Unauthorized({ credentials: "wrong" })

/** A recorder that counts attempts, and how many there are at the same time. */
const makeDevice = () => ({
  password: "right",
  attempts: 0,
  /** When each attempt began, in milliseconds. */
  times: [] as Array<number>,
  now: 0,
  most: 0
})
type Device = ReturnType<typeof makeDevice>

/** The refusals of a node, on a connection of its own. */
const refusalsOf = Effect.fnUntraced(function* (dsn: Redacted.Redacted, name: string) {
  const sql = yield* client(dsn)
  return yield* SharedRefusals.make({
    tablePrefix: "restream",
    name,
    key: Redacted.make("key")
  }).pipe(Effect.provideService(PgClient.PgClient, sql))
})

/** A node with channels of the recorder, all of which try until they are accepted, with one password. */
const node = Effect.fnUntraced(function* (
  device: Device,
  refusals: Refusals.RefusalsService,
  ids: ReadonlyArray<number>,
  password: string,
  lockoutDelay = Duration.minutes(5)
) {
  const guard = CredentialGuard.make(() => lockoutDelay, false, refusals)
  yield* guard.recall.pipe(Effect.delay("50 millis"), Effect.forever, Effect.forkScoped)
  const blocked = new Set<number>()
  const accepted = new Set<number>()
  const leases = new Map<number, CredentialGuard.Lease>()
  for (const id of ids) {
    const url = Result.getOrThrow(StreamUrl.parse(`rtsp://admin:${password}@10.0.0.1/${id}`))
    const lease = yield* guard.acquire({ id: String(id) as CameraId, url })
    leases.set(id, lease)
    const attempt = Effect.gen(function* () {
      if (lease.isBlocked || !(yield* lease.claim)) return
      device.attempts++
      device.times.push(performance.now())
      device.most = Math.max(device.most, ++device.now)
      yield* Effect.sleep("20 millis")
      device.now--
      if (password !== device.password) return lease.refused(wrong)
      lease.accepted()
      accepted.add(id)
    })
    yield* lease
      .withPermit((refusal) =>
        Effect.sync(() => void (refusal === undefined ? blocked.delete(id) : blocked.add(id)))
      )(attempt)
      .pipe(Effect.repeat({ until: () => accepted.has(id) }), Effect.forkScoped)
  }
  return { accepted, blocked, leases }
})

const database = Effect.gen(function* () {
  const dsn = yield* freshDatabase
  const sql = yield* client(dsn)
  yield* Effect.provideService(Cluster.createTables("restream"), PgClient.PgClient, sql)
  return { dsn, sql }
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("three nodes make the two attempts that one node makes, and one releases all", () =>
    Effect.gen(function* () {
      const { dsn, sql } = yield* database
      const device = makeDevice()
      const nodes = yield* Effect.forEach([0, 1, 2], (n) =>
        Effect.flatMap(refusalsOf(dsn, `n${n}`), (refusals) =>
          node(device, refusals, [n * 3 + 1, n * 3 + 2, n * 3 + 3], "old")
        )
      )
      const waiting = () => nodes.reduce((sum, { blocked }) => sum + blocked.size, 0)
      yield* until("all cameras to wait", () => waiting() === 9)
      assert.deepStrictEqual([device.attempts, device.most], [2, 1])

      // the table shows neither the password nor a plain digest of it
      const rows = yield* sql<{
        readonly row: string
      }>`select t::text as row from restream_refusals t`
      assert.lengthOf(rows, 1)
      assert.notMatch(rows[0]!.row, /admin|old|10\.0\.0\.1/)

      // the device has the password now, and an operator has one camera tried
      device.password = "old"
      nodes[1]!.leases.get(4)!.tryNow()
      yield* until("all cameras to be accepted", () =>
        nodes.every(({ accepted }) => accepted.size === 3)
      )
    })
  )

  it.effect("after the lockout delay one node tries, and all wait for the delay again", () =>
    Effect.gen(function* () {
      const { dsn } = yield* database
      const device = makeDevice()
      const delayMs = 300
      for (const n of [0, 1, 2]) {
        const refusals = yield* refusalsOf(dsn, `n${n}`)
        yield* node(device, refusals, [n * 2 + 1, n * 2 + 2], "old", Duration.millis(delayMs))
      }
      yield* until("five attempts", () => device.attempts >= 5)
      const gaps = device.times.slice(2).map((at, index) => at - device.times[index + 1]!)
      assert.isTrue(
        gaps.every((gap) => gap >= delayMs),
        gaps.join()
      )
      assert.strictEqual(device.most, 1)
    })
  )

  it.effect(
    "another password is another account, and an attempt without an answer is given back",
    () =>
      Effect.gen(function* () {
        const { dsn } = yield* database
        const one = yield* refusalsOf(dsn, "one")
        const two = yield* refusalsOf(dsn, "two")
        const account = Redacted.make("a")
        const claims = (service: Refusals.RefusalsService, group = account) =>
          Effect.map(service.claim(group, "camera", false), ({ isGranted }) => isGranted)
        assert.isTrue(yield* claims(one))
        assert.isFalse(yield* claims(two))
        assert.isTrue(yield* claims(two, Redacted.make("b")))
        one.tell(account, { _tag: "Released" })
        yield* Effect.repeat(claims(two), { until: (isGranted) => isGranted })
        assert.isFalse(yield* claims(one))
        two.tell(account, { _tag: "Accepted" })
        const claim = yield* Effect.repeat(one.claim(account, "camera", false), {
          until: ({ isGranted }) => isGranted
        })
        assert.isTrue(claim.isProven)
      })
  )

  it.effect("without a database, or without the table, a node goes on by its own memory", () =>
    Effect.gen(function* () {
      const dsn = yield* freshDatabase
      const away = Redacted.make("postgres://nobody@127.0.0.1:1/none")
      for (const url of [dsn, away]) {
        const device = makeDevice()
        const alone = yield* node(device, yield* refusalsOf(url, "n"), [1, 2, 3, 4], "old")
        yield* until("all cameras to wait", () => alone.blocked.size === 4)
        assert.strictEqual(device.attempts, 2)
      }
    })
  )

  it.effect(
    "real nodes try a wrong password twice, and every node of its own without the table",
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        const recorder = yield* RtspServer.make({
          resolve: () => "channel",
          authentication: { username: "admin", password: Redacted.make("right") }
        })
        yield* TestPattern.publish(recorder, "channel")
        const ids = Array.from({ length: 12 }, (_, index) => index + 1)
        const url = (id: number, password: string) =>
          recorder.url(`ch${id}`).replace("rtsp://", `rtsp://admin:${password}@`)
        yield* site.insert(
          ids.map((id) => ({
            name: `ch${id}`,
            path: `ch${id}`,
            url: url(id, "old")
          }))
        )
        const initialize = restream(["db", "init", "--cluster"], site.env)
        assert.strictEqual((yield* initialize).code, 0)
        for (const statement of StatusTable.initStatements({
          schema: undefined,
          name: "states"
        })) {
          yield* site.sql.unsafe(statement)
        }
        yield* site.sql`drop table restream_refusals`
        const start = Daemon.start({
          args: ["--cluster", "--workers", "3"],
          env: {
            ...site.env,
            RESTREAM_CLUSTER_NAME: "m",
            RESTREAM_CLUSTER_SHARDS: "30",
            RESTREAM_DATABASE_STATUS_TABLE: "states"
          }
        })
        /** Done when three nodes hold the shards, and each camera is refused on the node that holds it. */
        const refusedAll = site.sql<{ readonly nodes: number; readonly cameras: number }>`
            select (select count(distinct a.application_name) from pg_locks l join pg_stat_activity a using (pid)
                where locktype = 'advisory' and objsubid = 2 and granted
                  and database = (select oid from pg_database where datname = current_database()))::int as nodes,
              (select count(*) filter (where state = 'down' and reason is not null)
                * (count(distinct instance) = 3)::int from states)::int as cameras`.pipe(
          Effect.delay("50 millis"),
          Effect.repeat({ until: ([row]) => row?.nodes === 3 && row.cameras === ids.length })
        )

        // a cluster of an earlier version
        const before = yield* start
        yield* before.awaitLine(
          /nodes do not share refused credentials.*restream db init --cluster creates the table/
        )
        yield* refusedAll
        yield* before.signal("SIGTERM")
        assert.strictEqual((yield* before.exit).code, 0)
        const withoutTable = yield* recorder.authenticationFailures
        assert.isAbove(withoutTable, 2)

        assert.strictEqual((yield* initialize).code, 0)
        yield* site.sql`truncate states`
        const after = yield* start
        yield* refusedAll
        assert.strictEqual((yield* recorder.authenticationFailures) - withoutTable, 2)
        assert.notMatch(after.said(), /do not share/)

        for (const id of ids) {
          yield* site.sql`update cameras set url = ${url(id, "right")} where id = ${id}`
        }
        yield* site.awaitLive(ids.map((id) => `ch${id}`))
        assert.strictEqual((yield* recorder.authenticationFailures) - withoutTable, 2)
      })
  )
})
