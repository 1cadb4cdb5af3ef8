/**
 * Two built daemons on one table: one relays the cameras, the other is a standby that takes over.
 *
 * Throughout each test the media server's events tell whether a publisher found another one on its path.
 */
import { assert, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { CameraTable } from "@restream/core"
import { EmbeddedPostgres } from "@restream/core/testing"
import { Effect, Exit, PubSub, Redacted, Scope } from "effect"
import { hostname } from "node:os"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import { client, Postgres } from "../kit/Postgres.ts"
import * as Proc from "../kit/Proc.ts"
import * as Site from "../kit/Site.ts"
import * as TransactionPooler from "./TransactionPooler.ts"

const name = `restream@${hostname()}`.slice(0, 63)
const standby = /standby: the cameras are relayed by restream@\S+ \(127\.0\.0\.1, since \d{4}-/

interface Watch {
  /** How many publishers found another one on their path, by path. */
  readonly replaced: ReadonlyMap<string, number>
  /** How publishers named themselves. */
  readonly userAgents: ReadonlySet<string | undefined>
  /** The most connections that cameras served at once. */
  readonly mostReaders: () => number
}

/** Looks at the media server and the cameras all the time. */
const watch = Effect.fnUntraced(function* (
  site: Effect.Success<typeof Site.make>
): Effect.fn.Return<Watch, never, Scope.Scope> {
  const events = yield* site.sink.events
  const replaced = new Map<string, number>()
  const userAgents = new Set<string | undefined>()
  let mostReaders = 0
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(PubSub.take(events), (event) => {
        if (event._tag === "Request" && event.method === "ANNOUNCE") userAgents.add(event.userAgent)
        if (event._tag !== "Ended" || event.path === undefined) return
        if (event.why === "replaced by another publisher") {
          replaced.set(event.path, (replaced.get(event.path) ?? 0) + 1)
        }
      })
    )
  )
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.gen(function* () {
        const status = yield* site.camera.path("camera")
        mostReaders = Math.max(mostReaders, status?.readers.length ?? 0)
        yield* Effect.sleep("5 millis")
      })
    )
  )
  return { replaced, userAgents, mostReaders: () => mostReaders }
})

/** Two daemons, the first of which relays one camera of each engine. */
const pair = Effect.fnUntraced(function* (env: Readonly<Record<string, string>> = {}) {
  const site = yield* Site.make
  const paths = [
    ...(yield* site.insertCameras("native", 3)),
    ...(yield* site.insertCameras("ffmpeg", 1))
  ]
  const seen = yield* watch(site)
  const options = { env: { ...site.env, ...env } }
  const first = yield* Daemon.start(options)
  yield* site.awaitLive(paths)
  const second = yield* Daemon.start(options)
  yield* second.awaitLine(standby)
  return { site, paths, seen, options, first, second }
})

/** Done when all paths are published by connections that were not there before. */
const awaitNewPublishers = Effect.fnUntraced(function* (
  site: Effect.Success<typeof Site.make>,
  paths: ReadonlyArray<string>,
  counts: ReadonlyArray<number>
) {
  while (true) {
    const all = yield* Effect.forEach(paths, site.sink.path)
    const areNew = all.every(
      (status, index) => status?.publisher !== undefined && status.publishers > counts[index]!
    )
    if (areNew) return
    yield* Effect.sleep("10 millis")
  }
})

const publishersOf = (site: Effect.Success<typeof Site.make>, paths: ReadonlyArray<string>) =>
  Effect.forEach(paths, (path) => Effect.map(site.sink.path(path), (now) => now?.publishers ?? 0))

/** Ends the sessions that hold a lock, or that wait for one. */
const lockSessions = (site: Effect.Success<typeof Site.make>) =>
  site.sql<{ readonly pid: number }>`select pid from pg_stat_activity
    where application_name = ${name} and datname = current_database()`

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("a second daemon is a standby, and takes over after kill -9 of the first", () =>
    Effect.gen(function* () {
      const { first, paths, second, seen, site } = yield* pair()
      assert.isEmpty(
        second.stderr.filter((line) => /camera list is empty|started \d|started camera/.test(line))
      )
      assert.isEmpty(Proc.descendants(second.pid))
      yield* second.awaitLine(/4 cameras, all relayed by another daemon/)
      const before = yield* publishersOf(site, paths)
      assert.deepStrictEqual(before, [1, 1, 1, 1])
      const killedAt = performance.now()
      yield* first.signal("SIGKILL")
      yield* second.awaitLine(/the database lock is free: taking over the cameras/)
      assert.isBelow(performance.now() - killedAt, 5000)
      yield* awaitNewPublishers(site, paths, before)
      yield* second.awaitLine(/ffmpeg1.*live/)
      assert.isEmpty([...seen.replaced])
      assert.isAtMost(seen.mostReaders(), paths.length)
      // the second daemon knows what the first one left at the media server
      assert.lengthOf([...seen.userAgents], 1)
      assert.match([...seen.userAgents].join(), /^restream\/\d\S* [0-9a-f]{12}$/)
    })
  )

  it.effect("SIGTERM hands the cameras over after every relay has ended", () =>
    Effect.gen(function* () {
      const { first, options, paths, second, seen, site } = yield* pair()
      const before = yield* publishersOf(site, paths)
      // a relay that ends slowly: the lock must outlive it
      for (const child of Proc.descendants(first.pid)) process.kill(child, "SIGSTOP")
      yield* first.signal("SIGTERM")
      yield* first.awaitLine(/stopping all 4 cameras/)
      assert.strictEqual((yield* first.exit).code, 0)
      yield* awaitNewPublishers(site, paths, before)
      assert.isEmpty([...seen.replaced])
      assert.isAtMost(seen.mostReaders(), paths.length)

      // and back
      const third = yield* Daemon.start(options)
      yield* third.awaitLine(standby)
      const between = yield* publishersOf(site, paths)
      yield* second.signal("SIGTERM")
      yield* awaitNewPublishers(site, paths, between)
      assert.isEmpty([...seen.replaced])
    })
  )

  it.effect("a daemon outside a cluster and the nodes wait for each other", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const paths = yield* site.insertCameras("native", 2)
      const seen = yield* watch(site)
      const initialized = yield* restream(["db", "init", "--cluster"], {
        PG_DSN: site.env.PG_DSN
      })
      assert.strictEqual(initialized.code, 0)
      const daemon = { env: site.env }
      const nodeOf = (node: string) => ({
        args: ["--cluster"],
        env: {
          ...site.env,
          RESTREAM_CLUSTER_NAME: node,
          RESTREAM_CLUSTER_LEASE: "3s",
          RESTREAM_CLUSTER_SHARDS: "4"
        }
      })
      const first = yield* Daemon.start(daemon)
      yield* site.awaitLive(paths)
      const http = { RESTREAM_HTTP_ENABLED: "yes", RESTREAM_HTTP_PORT: "0" }
      const options = nodeOf("a")
      const a = yield* Daemon.start({ ...options, env: { ...options.env, ...http } })
      yield* a.awaitLine(
        /cameras are relayed by restream@\S+ \(.*\), a daemon that runs without --cluster; joining/
      )
      yield* a.awaitLine(/2 cameras, none on this node/)
      const before = yield* publishersOf(site, paths)
      assert.deepStrictEqual(before, [1, 1])
      yield* first.signal("SIGTERM")
      yield* awaitNewPublishers(site, paths, before)

      // the node shows its name
      const url = yield* Daemon.httpUrl(a)
      const shown = yield* restream(["status"], { RESTREAM_HTTP_PORT: url.port })
      assert.match(shown.stdout, /^Node a: /)
      const metrics = yield* Effect.promise(async () =>
        (await fetch(new URL("/metrics", url))).text()
      )
      assert.include(metrics, '\nrestream_cluster_node_info{name="a"} 1\n')

      const last = yield* Daemon.start(daemon)
      yield* last.awaitLine(/standby: the cameras are relayed by restream@a \(/)
      const b = yield* Daemon.start(nodeOf("b"))
      yield* b.awaitLine(/2 nodes: a, b/)
      for (const { exit, signal } of [a, b]) {
        yield* signal("SIGTERM")
        assert.strictEqual((yield* exit).code, 0)
      }
      yield* last.awaitLine(/the database lock is free: taking over the cameras/)
      yield* site.awaitLive(paths)
      assert.isEmpty([...seen.replaced])
    })
  )

  it.effect("a suspended holder loses the lock, and is a standby when it resumes", () =>
    Effect.gen(function* () {
      const { first, paths, second, seen, site } = yield* pair()
      const before = yield* publishersOf(site, paths)
      yield* first.signal("SIGSTOP")
      yield* awaitNewPublishers(site, paths, before)
      yield* second.awaitLine(/the database lock is free/)
      yield* second.awaitLine(/ffmpeg1.*live/)
      yield* first.signal("SIGCONT")
      yield* first.awaitLine(/another daemon has taken over the cameras: restream@.*now a standby/)
      yield* first.awaitLine(/all relayed by another daemon: 4 cameras moved to another daemon/)
      yield* Effect.sleep("1500 millis")
      for (const path of paths) assert.isAtMost(seen.replaced.get(path) ?? 0, 1, path)
      // it takes over again
      const between = yield* publishersOf(site, paths)
      yield* second.signal("SIGKILL")
      yield* awaitNewPublishers(site, paths, between)
      for (const path of paths) assert.isAtMost(seen.replaced.get(path) ?? 0, 1, path)
    })
  )

  it.effect("a session of the lock that is ended touches no relay, and changes no roles", () =>
    Effect.gen(function* () {
      const { first, paths, second, seen, site } = yield* pair()
      for (let round = 0; round < 3; round++) {
        const pids = (yield* lockSessions(site)).map(({ pid }) => pid)
        assert.lengthOf(pids, 2)
        yield* site.sql`select pg_terminate_backend(pid) from pg_stat_activity
            where application_name = ${name} and datname = current_database()`
        // the holder asks at once, the standby after 5 s
        yield* Effect.repeat(
          site.sql`select 1 from pg_locks where locktype = 'advisory' and granted
              and database = (select oid from pg_database where datname = current_database())`,
          { until: (rows) => rows.length > 0 }
        )
        yield* Effect.repeat(lockSessions(site), { until: (rows) => rows.length === 2 })
      }
      assert.deepStrictEqual(yield* publishersOf(site, paths), [1, 1, 1, 1])
      assert.isEmpty([...seen.replaced])
      for (const { stderr } of [first, second]) {
        assert.isEmpty(stderr.filter((line) => /has taken over|taking over the cameras/.test(line)))
      }
    })
  )

  it.effect("a restart of the database touches no relay, and changes no roles", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const cluster = yield* EmbeddedPostgres.makeCluster
        let running = yield* Scope.make()
        yield* Effect.addFinalizer(() => Scope.close(running, Exit.void))
        yield* Scope.provide(cluster.start, running)
        const site = yield* Site.make
        yield* Effect.scoped(
          Effect.gen(function* () {
            const sql = yield* client(cluster.dsn)
            yield* Effect.forEach(
              CameraTable.initStatements(
                { schema: undefined, name: "cameras" },
                "restream_cameras"
              ),
              (statement) => sql.unsafe(statement)
            )
            yield* Effect.forEach(
              ["c1", "c2"],
              (path) =>
                sql`insert into cameras ${sql.insert({ name: path, path, url: site.camera.url(path) })}`
            )
          })
        )
        const options = { env: { ...site.env, PG_DSN: Redacted.value(cluster.dsn) } }
        const seen = yield* watch(site)
        const first = yield* Daemon.start(options)
        yield* site.awaitLive(["c1", "c2"])
        const second = yield* Daemon.start(options)
        yield* second.awaitLine(standby)
        // so that the holder knows of the standby
        yield* Effect.sleep("1500 millis")
        yield* Scope.close(running, Exit.void)
        yield* first.awaitLine(/database: .*running relays are unaffected/)
        yield* Effect.sleep("1 second")
        running = yield* Scope.make()
        yield* Scope.provide(cluster.start, running)
        const [holder] = yield* Effect.scoped(
          Effect.flatMap(client(cluster.dsn), (sql) =>
            Effect.repeat(
              sql<{ readonly since: string }>`select a.backend_start::text as since from pg_locks l
                join pg_stat_activity a using (pid) where locktype = 'advisory' and granted`,
              { until: (rows) => rows.length > 0 }
            )
          )
        )
        assert.isDefined(holder)
        // longer than a standby waits after it has connected again
        yield* Effect.sleep("6 seconds")
        assert.deepStrictEqual(yield* publishersOf(site, ["c1", "c2"]), [1, 1])
        assert.isEmpty([...seen.replaced])
        for (const { stderr } of [first, second]) {
          assert.isEmpty(
            stderr.filter((line) => /has taken over|taking over the cameras/.test(line))
          )
        }
        const before = yield* publishersOf(site, ["c1", "c2"])
        yield* first.signal("SIGKILL")
        yield* awaitNewPublishers(site, ["c1", "c2"], before)
        assert.isEmpty([...seen.replaced])
      })
    ).pipe(Effect.provide(NodeServices.layer))
  )

  for (const hasStandby of [true, false]) {
    it.effect(
      hasStandby
        ? "a replaced relay waits while the database is away, because the standby may have taken over"
        : "without a standby a replaced relay is restarted while the database is away",
      () =>
        Effect.scoped(
          Effect.gen(function* () {
            const cluster = yield* EmbeddedPostgres.makeCluster
            let running = yield* Scope.make()
            yield* Effect.addFinalizer(() => Scope.close(running, Exit.void))
            yield* Scope.provide(cluster.start, running)
            const site = yield* Site.make
            const options = {
              env: {
                ...site.env,
                PG_DSN: Redacted.value(cluster.dsn),
                RESTREAM_DATABASE_QUERY: `select 1 as id, 'c1' as path, '${site.camera.url("c1")}' as url`
              }
            }
            const daemon = yield* Daemon.start({ ...options, args: ["--log-level", "debug"] })
            yield* site.awaitLive(["c1"])
            if (hasStandby) yield* (yield* Daemon.start(options)).awaitLine(standby)
            yield* Effect.sleep("1500 millis")
            yield* Scope.close(running, Exit.void)
            // the lease
            yield* Effect.sleep("11 seconds")
            yield* site.sink.kick("c1")
            if (hasStandby) {
              yield* daemon.awaitLine(/waiting until no other daemon may relay it/)
              assert.strictEqual((yield* site.sink.path("c1"))?.publishers, 1)
              running = yield* Scope.make()
              yield* Scope.provide(cluster.start, running)
            }
            yield* awaitNewPublishers(site, ["c1"], [1])
          })
        ).pipe(Effect.provide(NodeServices.layer))
    )
  }

  it.effect("database.guard: no, another table and another media server share no lock", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const other = yield* Site.make
      yield* site.insertCameras("native", 1)
      const first = yield* Daemon.start({ env: site.env })
      yield* site.awaitLive(["native1"])
      const second = yield* Daemon.start({
        env: { ...site.env, MEDIA_SERVER_PORT: other.env.MEDIA_SERVER_PORT }
      })
      yield* other.sink.awaitPublisher("native1")
      yield* site.sql`create table others as select id, name, url, 'other' as path from cameras`
      const third = yield* Daemon.start({ env: site.env, args: ["--database-table", "others"] })
      yield* site.sink.awaitPublisher("other")
      // the same table, written differently
      const fourth = yield* Daemon.start({
        env: { ...site.env, RESTREAM_DATABASE_TABLE: 'public."others"' }
      })
      yield* fourth.awaitLine(standby)
      const fifth = yield* Daemon.start({
        env: {
          ...site.env,
          RESTREAM_DATABASE_GUARD: "no",
          RESTREAM_MEDIA_SERVER_PATH_TEMPLATE: "x{id}"
        }
      })
      yield* fifth.awaitLine(/1 camera: started camera 1/)
      for (const { stderr } of [first, second, third]) {
        assert.isEmpty(stderr.filter((line) => /standby/.test(line)))
      }
    })
  )

  it.effect("where the role may not lock, that is logged once and the cameras are relayed", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      yield* site.insertCameras("native", 1)
      yield* site.sql`create role unlocked login password 'secret'`
      yield* site.sql`grant select on cameras to unlocked`
      yield* site.sql`revoke execute on function pg_try_advisory_lock(bigint) from public`
      const dsn = site.env.PG_DSN.replace(/\/\/[^@]*@/, "//unlocked:secret@")
      const daemon = yield* Daemon.start({ env: { ...site.env, PG_DSN: dsn } })
      yield* site.awaitLive(["native1"])
      yield* daemon.awaitLine(
        /no protection against a second daemon: permission denied for function pg_try_advisory_lock/
      )
    })
  )

  it.effect("where no connection is left for the lock, the cameras are relayed", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      yield* site.insertCameras("native", 1)
      yield* site.sql`create role crowded login password 'secret' connection limit 1`
      yield* site.sql`grant select on cameras to crowded`
      const dsn = site.env.PG_DSN.replace(/\/\/[^@]*@/, "//crowded:secret@")
      const daemon = yield* Daemon.start({
        env: { ...site.env, PG_DSN: dsn, RESTREAM_DATABASE_LISTEN: "no" }
      })
      yield* site.awaitLive(["native1"])
      assert.isAtMost(daemon.stderr.filter((line) => /no protection/.test(line)).length, 1)
    })
  )

  it.effect(
    "behind a pooler in transaction mode that is logged once, and the cameras are relayed",
    () =>
      Effect.gen(function* () {
        const site = yield* Site.make
        yield* site.insertCameras("native", 1)
        const url = new URL(site.env.PG_DSN)
        const pooler = yield* TransactionPooler.make(Number(url.port))
        url.port = String(pooler.port)
        const daemon = yield* Daemon.start({
          env: { ...site.env, PG_DSN: url.href, RESTREAM_DATABASE_LISTEN: "no" }
        })
        yield* site.awaitLive(["native1"])
        const said =
          /no protection against a second daemon: a connection pooler in transaction mode/
        yield* daemon.awaitLine(said)
        // nobody holds a lock for ever in the pooler's session
        const locks = yield* site.sql`select 1 from pg_locks where locktype = 'advisory'`
        assert.isEmpty(locks)
        yield* Effect.sleep("2 seconds")
        assert.lengthOf(
          daemon.stderr.filter((line) => said.test(line)),
          1
        )
      })
  )

  it.effect("on a read replica the lock is taken, and its limit is logged once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const replica = yield* EmbeddedPostgres.makeStandby
        const site = yield* Site.make
        const options = {
          env: {
            ...site.env,
            PG_DSN: Redacted.value(replica.dsn),
            RESTREAM_DATABASE_QUERY: `select 1 as id, 'r1' as path, '${site.camera.url("r1")}' as url`
          }
        }
        const first = yield* Daemon.start(options)
        yield* site.awaitLive(["r1"])
        yield* first.awaitLine(/the database is a read replica: the protection .* covers only/)
        const second = yield* Daemon.start(options)
        yield* second.awaitLine(standby)
        yield* first.signal("SIGKILL")
        yield* awaitNewPublishers(site, ["r1"], [1])
      })
    ).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("restream check works beside a daemon that holds the lock", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      yield* site.insertCameras("native", 1)
      const daemon = yield* Daemon.start({ env: site.env })
      yield* site.awaitLive(["native1"])
      const before = (yield* lockSessions(site)).length
      const { code, stderr, stdout } = yield* restream(["check"], {
        PG_DSN: site.env.PG_DSN,
        MEDIA_SERVER_PORT: site.env.MEDIA_SERVER_PORT
      })
      assert.strictEqual(code, 0, stdout + stderr)
      assert.match(stdout, /live/)
      assert.strictEqual((yield* lockSessions(site)).length, before)
      yield* daemon.signal("SIGTERM")
      assert.strictEqual((yield* daemon.exit).code, 0)
    })
  )
})
