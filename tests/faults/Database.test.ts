/**
 * A database that is away, stands still, or does not let us in, under relays that go on.
 *
 * It is polled once an hour, so what a test sees comes from a notification, from a retry, or from a
 * camera that asks whether it is still wanted.
 */
import { assert, describe, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import type { PgClient } from "@effect/sql-pg"
import type { CameraId } from "@restream/core"
import { EmbeddedPostgres, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Exit, Redacted, Scope } from "effect"
import { untilEffect } from "../kit/Eventually.ts"
import { childrenOf } from "../kit/Proc.ts"
import { client, Postgres } from "../kit/Postgres.ts"
import {
  addRows,
  database,
  type Installation,
  makeTable,
  row,
  settingsOf,
  start
} from "../kit/Installation.ts"

interface Site {
  readonly tree: Installation
  /** Adds a camera by its number. */
  readonly add: (sql: PgClient.PgClient, id: number) => Effect.Effect<void, unknown>
  /** Makes a camera restart, so that the source is asked. */
  readonly restart: (id: number) => Effect.Effect<void>
  /** Whether camera 1 has been relayed without a break since the beginning. */
  readonly assertUntouched: Effect.Effect<void>
}

/** A tree with two cameras that are live. */
const site = Effect.fnUntraced(function* (
  dsn: Redacted.Redacted,
  options: {
    readonly query?: string
    readonly wanted?: ReadonlyArray<number>
    /** How long an answer may take; a loaded machine is slow to give one. */
    readonly queryTimeout?: string
  } = {}
): Effect.fn.Return<Site, never, Scope.Scope> {
  const { cameras, sink } = yield* Effect.orDie(
    Effect.all({
      // by its port a camera is told from the others
      cameras: Effect.all([
        RtspServer.make(),
        RtspServer.make(),
        RtspServer.make(),
        RtspServer.make()
      ]),
      sink: RtspServer.make()
    })
  )
  yield* Effect.orDie(Effect.forEach(cameras, (server) => TestPattern.publish(server, "cam")))
  const add = (sql: PgClient.PgClient, id: number) =>
    addRows(sql, [row(id, cameras[id - 1]!.url("cam"), { options: { engine: "native" } })])
  const { wanted } = options
  if (wanted !== undefined) {
    yield* Effect.orDie(
      withClient(dsn, (sql) => Effect.forEach(wanted, (id) => add(sql, id), { discard: true }))
    )
  }
  const tree = yield* start(
    settingsOf(dsn, sink.port, {
      database: {
        pollInterval: "1 hour",
        queryTimeout: options.queryTimeout ?? "10 seconds",
        connectTimeout: options.queryTimeout ?? "10 seconds",
        ...(options.query === undefined ? {} : { query: options.query })
      },
      relay: { restartDelay: "200 millis", rejectedDelay: "200 millis" }
    })
  )
  return {
    tree,
    add,
    restart: (id) =>
      Effect.gen(function* () {
        yield* sink.kick(`cam${id}`)
        yield* tree.awaitState(id, "Restarting")
      }),
    assertUntouched: Effect.gen(function* () {
      const status = yield* sink.path("cam1")
      assert.isDefined(status?.publisher)
      assert.strictEqual(status?.publishers, 1)
    })
  }
})

/** Cameras 1 and 2 are live. */
const bothLive = ({ tree }: Site) =>
  Effect.andThen(tree.awaitState(1, "Live"), tree.awaitState(2, "Live"))

let names = 0

/**
 * Notifications arrive, so the end of their session triggers a read: a new name of camera 1 is read, which only a
 * listening session triggers. A session that has sent LISTEN may still fail without a read.
 */
const listening = Effect.fnUntraced(function* ({ tree }: Site, sql: PgClient.PgClient) {
  const name = `Gate ${++names}`
  yield* sql`update cameras set name = ${name} where id = 1`
  yield* untilEffect(
    "a notification",
    Effect.map(tree.status.get("1" as CameraId), (camera) => camera?.name === name)
  )
})

/** What an outage must leave in the log: one line when it began, and one when it ended. */
const assertTold = ({ tree }: Site, what: RegExp) => {
  const lines = tree.log.matching(/^\w+ database: (?!.*notifications)/)
  assert.lengthOf(lines, 2, lines.join("\n"))
  assert.match(lines[0]!, what)
  assert.match(lines[0]!, /^Error .*; running relays are unaffected; last successful read .* ago$/)
  assert.match(lines[1]!, /^Info database: reachable again after \S+.*, \d+ rows$/)
}

const told = /^Error database: /

/** A server of its own, that a test may stop. */
const cluster = Effect.gen(function* () {
  const made = yield* EmbeddedPostgres.makeCluster
  let running: Scope.Closeable | undefined
  const start = Effect.gen(function* () {
    running = yield* Scope.make()
    return yield* Scope.provide(made.start, running)
  })
  const stop = Effect.suspend(() =>
    running === undefined ? Effect.void : Scope.close(running, Exit.void)
  )
  yield* Effect.addFinalizer(() => stop)
  return { dsn: made.dsn, start, stop }
}).pipe(Effect.provide(NodeServices.layer))

const withClient = <A, E>(
  dsn: Redacted.Redacted,
  use: (sql: PgClient.PgClient) => Effect.Effect<A, E>
) => Effect.scoped(Effect.flatMap(client(dsn), use))

/** The processes of a server: the one that listens, and one for each session. */
const signal = (pid: number, name: NodeJS.Signals) =>
  Effect.sync(() => {
    for (const one of [pid, ...childrenOf(pid)]) process.kill(one, name)
  })

let roles = 0

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })("a database", (it) => {
  describe.concurrent("in one of these cases", () => {
    it.effect("is stopped and started again", () =>
      Effect.gen(function* () {
        const { dsn, start, stop } = yield* cluster
        yield* start
        yield* withClient(dsn, makeTable)
        const here = yield* site(dsn, { wanted: [1, 2] })
        yield* bothLive(here)
        yield* withClient(dsn, (sql) => listening(here, sql))
        yield* stop
        yield* here.tree.log.awaitLine(told)
        // a camera that restarts meanwhile is relayed again: nobody took it away
        yield* here.restart(2)
        yield* here.tree.awaitState(2, "Live")
        yield* start
        yield* withClient(dsn, (sql) => here.add(sql, 3))
        yield* here.tree.awaitState(3, "Live")
        yield* withClient(dsn, (sql) => listening(here, sql))
        yield* withClient(dsn, (sql) => here.add(sql, 4))
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assertTold(here, /terminat|refused|shutting down|closed|ECONNRESET|reset/)
        assert.lengthOf(here.tree.log.matching(/notifications unavailable/), 1)
      })
    )

    it.effect("is suspended", () =>
      Effect.gen(function* () {
        const { dsn, start } = yield* cluster
        const pid = yield* start
        yield* withClient(dsn, makeTable)
        const here = yield* site(dsn, { wanted: [1, 2], queryTimeout: "2 seconds" })
        yield* bothLive(here)
        yield* signal(pid, "SIGSTOP")
        yield* Effect.addFinalizer(() => signal(pid, "SIGCONT"))
        yield* here.restart(2)
        yield* here.tree.log.awaitLine(told)
        yield* here.tree.awaitState(2, "Live")
        yield* signal(pid, "SIGCONT")
        yield* withClient(dsn, (sql) => here.add(sql, 3))
        yield* here.tree.awaitState(3, "Live")
        yield* here.assertUntouched
        yield* here.tree.log.awaitLine(/database: reachable again/)
        assertTold(here, /no response within 2 s/)
      })
    )

    it.effect("is unreachable at the start", () =>
      Effect.gen(function* () {
        const { dsn, start, stop } = yield* cluster
        yield* start
        yield* withClient(dsn, makeTable)
        const camera = yield* RtspServer.make()
        yield* TestPattern.publish(camera, "cam")
        yield* withClient(dsn, (sql) => addRows(sql, [row(1, camera.url("cam"))]))
        yield* stop
        const here = yield* site(dsn)
        yield* here.tree.log.awaitLine(told)
        yield* here.tree.log.awaitLine(/notifications unavailable/)
        yield* Effect.sleep("2 seconds")
        yield* start
        yield* here.tree.awaitState(1, "Live")
        const lines = here.tree.log.matching(/^\w+ database: (?!.*notifications)/)
        assert.lengthOf(lines, 2)
        assert.match(
          lines[0]!,
          /^Error .*connection refused by .*; the camera list is not known yet; retrying$/
        )
        assert.match(lines[1]!, /^Info database: reachable again after .*, 1 rows$/)
        assert.lengthOf(here.tree.log.matching(/notifications unavailable/), 1)
      })
    )

    it.effect("ends the sessions of the daemon", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const here = yield* site(dsn, { wanted: [1, 2] })
        yield* bothLive(here)
        yield* listening(here, sql)
        yield* sql`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'restream' and datname = current_database()`
        yield* here.add(sql, 3)
        yield* here.tree.awaitState(3, "Live")
        yield* listening(here, sql)
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assert.lengthOf(
          here.tree.log.matching(
            /Warn database: notifications unavailable: .*; changes are found by polling until they resume/
          ),
          1
        )
        // new sessions are let in, so that is no outage
        assert.isEmpty(here.tree.log.matching(told))
      })
    )

    it.effect("requires another password, and then accepts the configured one again", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const role = `reader_${++roles}`
        yield* sql.unsafe(`create role ${role} login password 'right'`)
        yield* sql.unsafe(`grant select on cameras to ${role}`)
        const mine = Redacted.make(Redacted.value(dsn).replace(/\/\/[^@]*@/, `//${role}:right@`))
        const kickOut = sql`select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'restream' and datname = current_database()`
        const here = yield* site(mine)
        yield* here.add(sql, 1)
        yield* here.add(sql, 2)
        yield* bothLive(here)
        yield* listening(here, sql)
        yield* sql.unsafe(`alter role ${role} password 'other'`)
        yield* kickOut
        yield* here.tree.log.awaitLine(told)
        yield* here.restart(2)
        yield* here.tree.awaitState(2, "Live")
        yield* here.add(sql, 3)
        yield* sql.unsafe(`alter role ${role} password 'right'`)
        yield* here.tree.awaitState(3, "Live")
        yield* listening(here, sql)
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assertTold(here, /password authentication failed for user "reader_\d+"/)
      })
    )

    it.effect("rejects the password at the start, and accepts it later", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const role = `reader_${++roles}`
        yield* sql.unsafe(`create role ${role} login password 'other'`)
        yield* sql.unsafe(`grant select on cameras to ${role}`)
        const here = yield* site(
          Redacted.make(Redacted.value(dsn).replace(/\/\/[^@]*@/, `//${role}:right@`))
        )
        yield* here.add(sql, 1)
        yield* here.tree.log.awaitLine(
          /Error database: password authentication failed.*; the camera list is not known yet; retrying/
        )
        yield* sql.unsafe(`alter role ${role} password 'right'`)
        yield* here.tree.awaitState(1, "Live")
        assert.lengthOf(here.tree.log.matching(/^\w+ database: (?!.*notifications)/), 2)
      })
    )

    it.effect("loses the table, and gets it back", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const here = yield* site(dsn, { wanted: [1, 2] })
        yield* bothLive(here)
        yield* sql`create table kept as select * from cameras`
        yield* sql`drop table cameras`
        yield* here.restart(2)
        yield* here.tree.log.awaitLine(told)
        yield* here.tree.awaitState(2, "Live")
        yield* sql.withTransaction(
          Effect.gen(function* () {
            yield* makeTable(sql)
            yield* sql`insert into cameras overriding system value select * from kept`
            yield* here.add(sql, 3)
          })
        )
        yield* here.tree.awaitState(3, "Live")
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assertTold(here, /relation "cameras" does not exist/)
      })
    )

    it.effect("revokes the privilege to read, and grants it again", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const role = `reader_${++roles}`
        yield* sql.unsafe(`create role ${role} login password 'right'`)
        yield* sql.unsafe(`grant select on cameras to ${role}`)
        const here = yield* site(
          Redacted.make(Redacted.value(dsn).replace(/\/\/[^@]*@/, `//${role}:right@`))
        )
        yield* here.add(sql, 1)
        yield* here.add(sql, 2)
        yield* bothLive(here)
        yield* sql.unsafe(`revoke select on cameras from ${role}`)
        yield* here.add(sql, 3)
        yield* here.tree.log.awaitLine(told)
        yield* sql.unsafe(`grant select on cameras to ${role}`)
        yield* here.tree.awaitState(3, "Live")
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assertTold(here, /permission denied for table cameras/)
      })
    )

    it.effect("responds too late, for a while", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        yield* sql`create table slowness as select 0 as seconds`
        const here = yield* site(dsn, {
          wanted: [1, 2],
          queryTimeout: "2 seconds",
          query: "select c.* from (select pg_sleep(seconds) from slowness) s, cameras c"
        })
        yield* bothLive(here)
        yield* sql`update slowness set seconds = 4`
        yield* here.add(sql, 3)
        yield* here.tree.log.awaitLine(told)
        yield* here.restart(2)
        yield* here.tree.awaitState(2, "Live")
        yield* sql`update slowness set seconds = 0`
        yield* here.tree.awaitState(3, "Live")
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.assertUntouched
        assertTold(here, /no response within 2 s/)
      })
    )

    it.effect("has its table emptied, which is applied and logged as a warning", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const here = yield* site(dsn, { wanted: [1, 2, 3] })
        yield* Effect.forEach([1, 2, 3], (id) => here.tree.awaitState(id, "Live"))
        yield* sql`delete from cameras`
        yield* here.tree.until((all) => all.size === 0)
        assert.deepStrictEqual(here.tree.log.matching(/camera list is empty/), [
          "Warn camera list is empty: stopping all 3 relays"
        ])
        yield* here.add(sql, 4)
        yield* here.tree.awaitState(4, "Live")
        yield* here.tree.log.awaitLine(/1 camera: started camera 4/)
      })
    )
  })
})
