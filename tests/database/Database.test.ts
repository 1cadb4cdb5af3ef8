/** Connections to PostgreSQL by every form of DSN. */
import { assert, describe, layer } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { databaseLayer } from "@restream/cli/demo"
import { defaultSettings, Dsn } from "@restream/config"
import { CameraSource, PgCameraSource } from "@restream/core"
import { EmbeddedPostgres } from "@restream/core/testing"
import { Context, Effect, Exit, Layer, Redacted, Result, Scope, Stream } from "effect"
import { chownSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { connect, createServer, type Socket } from "node:net"
import { join } from "node:path"
import { withLog } from "../kit/Log.ts"
import { client, Postgres } from "../kit/Postgres.ts"
import { certificate, key } from "../rtsp/Certificate.ts"

const parse = (dsn: string) => Result.getOrThrow(Dsn.parse(dsn))

/** What a client with this DSN answers. */
const asked = <A>(dsn: string, query: string) =>
  Effect.flatMap(PgClient.PgClient, (sql) =>
    Effect.map(sql.unsafe<A & object>(query), ([row]) => row)
  ).pipe(
    Effect.provide(
      databaseLayer(parse(dsn), defaultSettings.database).pipe(Layer.provide(NodeServices.layer))
    )
  )

/** What a camera source with this DSN reports. */
const refusal = (dsn: string) =>
  Effect.flatMap(CameraSource, ({ refresh }) => Effect.flip(refresh)).pipe(
    Effect.provide(
      PgCameraSource.layer({ query: "select 1 as id" }).pipe(
        Layer.provide(databaseLayer(parse(dsn), defaultSettings.database)),
        Layer.provide(NodeServices.layer)
      )
    )
  )

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.sleep("20 millis"), { until: condition })

/** A TCP server that lives as long as the scope. */
const serve = (onConnection: (socket: Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const sockets: Array<Socket> = []
      const server = createServer((socket) => {
        sockets.push(socket)
        socket.on("error", () => {})
        onConnection(socket)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const close = () => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ port, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const isEncrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

/** A server with a self-signed certificate, whose pg_hba.conf a test may change. */
class TlsServer extends Context.Service<
  TlsServer,
  {
    readonly port: number
    readonly password: string
    /** The certificate, which is its own authority's. */
    readonly caFile: string
    /** Replaces pg_hba.conf's entries for TCP, for the time of an effect. */
    readonly allowing: <A, E, R>(
      kind: string,
      effect: Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E, R>
  }
>()("tests/TlsServer") {
  static readonly layer = Layer.effect(
    TlsServer,
    Effect.gen(function* () {
      const { dsn, port } = yield* EmbeddedPostgres.make
      const sql = yield* client(dsn)
      const [files] = yield* sql<{ data: string; hba: string }>`select
        current_setting('data_directory') as data, current_setting('hba_file') as hba`
      const { data, hba } = files!
      const { gid, uid } = statSync(hba)
      for (const [name, text] of [
        ["server.crt", certificate],
        ["server.key", key]
      ] as const) {
        writeFileSync(join(data, name), text, { mode: 0o600 })
        chownSync(join(data, name), uid, gid)
      }
      yield* sql`alter system set ssl = on`
      yield* sql`select pg_reload_conf()`
      const original = readFileSync(hba, "utf8")
      const replace = (text: string) =>
        Effect.andThen(
          Effect.sync(() => writeFileSync(hba, text)),
          Effect.orDie(sql`select pg_reload_conf()`)
        )
      const isLoaded = (kind: string) =>
        Effect.repeat(
          Effect.orDie(sql`select 1 from pg_hba_file_rules where type = ${kind}
            and exists (select from pg_settings where name = 'ssl' and setting = 'on')`),
          { until: (rows) => rows.length > 0 }
        )
      yield* isLoaded("host")
      return {
        port,
        caFile: join(data, "server.crt"),
        password: new URL(Redacted.value(dsn)).password,
        allowing: (kind, effect) =>
          Effect.acquireUseRelease(
            replace(`${kind} all all 127.0.0.1/32 scram-sha-256\n`),
            () => Effect.andThen(isLoaded(kind), effect),
            () => replace(original)
          )
      }
    })
  ).pipe(Layer.provide(NodeServices.layer))
}

layer(TlsServer.layer, { excludeTestServices: true, timeout: "30 seconds" })("TLS", (it) => {
  const dsnOf = ({ caFile, password, port }: TlsServer["Service"], parameters = "", at = port) =>
    `postgres://postgres:${password}@localhost:${at}/postgres?${parameters.replace("CA", caFile)}`

  for (const [parameters, ssl] of [
    ["", true],
    ["sslmode=prefer", true],
    ["sslmode=require", true],
    ["ssl=true", true],
    ["sslmode=no-verify", true],
    ["sslmode=verify-full&sslrootcert=CA", true],
    ["sslmode=verify-ca&sslrootcert=CA", true],
    ["sslmode=disable", false],
    ["ssl=false", false]
  ] as const) {
    it.effect(`is ${ssl ? "used" : "not used"} with ${parameters || "no parameter"}`, () =>
      Effect.gen(function* () {
        const server = yield* TlsServer
        assert.deepStrictEqual(yield* asked(dsnOf(server, parameters), isEncrypted), { ssl })
      })
    )
  }

  for (const parameters of ["sslmode=verify-full", "sslrootcert=system"]) {
    it.effect(`rejects a self-signed certificate with ${parameters}`, () =>
      Effect.gen(function* () {
        const server = yield* TlsServer
        const { message } = yield* refusal(dsnOf(server, parameters))
        assert.match(message, /signed by itself .*; set sslrootcert in PG_DSN/)
      })
    )
  }

  it.effect("is given up where pg_hba.conf rejects encrypted connections", () =>
    Effect.gen(function* () {
      const server = yield* TlsServer
      yield* server.allowing(
        "hostnossl",
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* asked(dsnOf(server), isEncrypted), { ssl: false })
          const { message } = yield* refusal(dsnOf(server, "sslmode=require"))
          assert.match(message, /no pg_hba.conf entry .*, SSL encryption/)
        })
      )
      yield* server.allowing(
        "hostssl",
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* asked(dsnOf(server), isEncrypted), { ssl: true })
          const { message } = yield* refusal(dsnOf(server, "sslmode=disable"))
          assert.match(message, /no pg_hba.conf entry .*, no encryption/)
        })
      )
    })
  )

  it.effect("is given up where the handshake fails, and required where it must be", () =>
    Effect.gen(function* () {
      const server = yield* TlsServer
      // says that it supports TLS, and closes the connection at the ClientHello
      const proxy = yield* serve((socket) => {
        socket.once("data", (first) => {
          if (first.readInt32BE(4) === 80_877_103) {
            socket.write("S")
            socket.once("data", () => socket.destroy())
            return
          }
          const upstream = connect({ port: server.port, host: "127.0.0.1" })
          upstream.on("error", () => socket.destroy())
          upstream.write(first)
          socket.pipe(upstream).pipe(socket)
        })
      })
      assert.deepStrictEqual(yield* asked(dsnOf(server, "", proxy.port), isEncrypted), {
        ssl: false
      })
      yield* refusal(dsnOf(server, "sslmode=require", proxy.port))
    })
  )

  it.effect("names the host (SNI), but no address", () =>
    Effect.gen(function* () {
      const server = yield* TlsServer
      const hellos: Array<string> = []
      const proxy = yield* serve((socket) => {
        const upstream = connect({ port: server.port, host: "127.0.0.1" })
        upstream.on("error", () => socket.destroy())
        socket.on("data", (chunk) => hellos.push(chunk.toString("latin1")))
        socket.pipe(upstream).pipe(socket)
      })
      const dsn = dsnOf(server, "", proxy.port)
      assert.deepStrictEqual(yield* asked(dsn, isEncrypted), { ssl: true })
      assert.include(hellos[1], "localhost")
      hellos.length = 0
      yield* asked(dsn.replace("localhost", "127.0.0.1"), isEncrypted)
      assert.notInclude(hellos[1], "127.0.0.1")
    })
  )
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  const parts = Effect.map(Postgres, ({ dsn, port }) => ({
    port,
    password: new URL(Redacted.value(dsn)).password
  }))

  describe("a DSN of another program", () => {
    it.effect("reports a server that does not support TLS", () =>
      Effect.gen(function* () {
        const { password, port } = yield* parts
        const { message } = yield* refusal(
          `postgres://postgres:${password}@localhost:${port}/postgres?sslmode=require`
        )
        assert.strictEqual(
          message,
          `localhost:${port} does not support TLS, which sslmode requires`
        )
      })
    )

    it.effect("connects by keywords and values", () =>
      Effect.gen(function* () {
        const { password, port } = yield* parts
        const row = yield* asked(
          `host=127.0.0.1 port=${port} user=postgres password='${password}' dbname=template1 application_name='my app'`,
          "select current_database() as db, current_setting('application_name') as app"
        )
        assert.deepStrictEqual(row, { db: "template1", app: "my app" })
      })
    )

    for (const [how, parameters, said, named] of [
      ["PgBouncer", "options=-c%20jit%3Doff", "unsupported startup parameter: options", "options"],
      [
        "PgBouncer 1.20",
        "schema=video",
        "unsupported startup parameter in options: search_path",
        "search_path"
      ],
      [
        "RDS Proxy",
        "schema=video",
        "Feature not supported: RDS Proxy currently doesn't support command-line options.",
        "options"
      ]
    ] as const) {
      it.effect(`names the startup parameter that ${how} refuses`, () =>
        Effect.gen(function* () {
          const { password, port } = yield* parts
          const error = `SFATAL\0C08P01\0M${said}\0\0`
          const pooler = yield* serve((socket) => {
            const upstream = connect({ port, host: "127.0.0.1" })
            upstream.on("error", () => socket.destroy())
            upstream.pipe(socket)
            socket.on("data", (chunk) => {
              if (!chunk.includes("\0options\0")) return upstream.write(chunk)
              const head = Buffer.from([0x45, 0, 0, 0, 0])
              head.writeInt32BE(error.length + 4, 1)
              return socket.end(Buffer.concat([head, Buffer.from(error)]))
            })
          })
          const dsn = `postgres://postgres:${password}@127.0.0.1:${pooler.port}/postgres`
          const { message, reason } = yield* refusal(`${dsn}?${parameters}`)
          assert.strictEqual(reason._tag, "AccessDenied")
          assert.match(
            message,
            new RegExp(`^a connection pooler refuses the startup parameter ${named}; .*PG_DSN`)
          )
          assert.deepStrictEqual(yield* asked(dsn, "select 1 as one"), { one: 1 })
        })
      )
    }

    it.effect("finds tables in the schema of Prisma, JDBC and pgx, whatever its name", () =>
      Effect.gen(function* () {
        const { password, port } = yield* parts
        const dsn = `postgres://postgres:${password}@127.0.0.1:${port}/postgres?`
        for (const [parameter, path] of [
          ["schema=video&pgbouncer=true&connection_limit=1", "video"],
          ["schema=My%20%22Cams%5C", `"My ""Cams\\"`],
          ["currentSchema=video,public", "video,public"],
          ["search_path=video,public", "video,public"],
          ["options=-c%20statement_timeout%3D1234&schema=video", "video"]
        ] as const) {
          const row = yield* asked<{ path: string }>(
            dsn + parameter,
            "select current_setting('search_path') as path"
          )
          assert.strictEqual(row?.path.replace(/^"video"$/, "video"), path)
        }
      })
    )
  })

  describe("several hosts", () => {
    it.effect("follows a failover from a primary that stops to a standby that is promoted", () =>
      withLog((lines) =>
        Effect.gen(function* () {
          const standby = yield* EmbeddedPostgres.makeStandby
          const primary = yield* EmbeddedPostgres.makeCluster
          const running = yield* Scope.fork(yield* Effect.scope)
          yield* Scope.provide(primary.start, running)
          const password = new URL(Redacted.value(standby.dsn)).password
          yield* Effect.scoped(
            Effect.flatMap(client(primary.dsn), (sql) =>
              sql.unsafe(`alter role postgres password '${password}'`)
            )
          )
          const hosts = [primary, standby].map(({ port }) => `127.0.0.1:${port}`).join()
          const dsn = `postgres://postgres:${password}@${hosts}/postgres?target_session_attrs=read-write`
          yield* Effect.gen(function* () {
            const { snapshots } = yield* CameraSource
            const readFrom = (port: number) =>
              Stream.runHead(Stream.filter(snapshots, ({ rows }) => rows[0]?.["id"] === port))
            yield* readFrom(primary.port)
            yield* Scope.close(running, Exit.void)
            yield* until(() => lines.some((line) => line.startsWith("Error")))
            yield* Effect.flatMap(client(standby.dsn), (sql) => sql`select pg_promote()`)
            yield* readFrom(standby.port)
            yield* until(() => lines.some((line) => line.includes("notifications resumed")))
            const about = (what: RegExp) => lines.filter((line) => what.test(line))
            assert.lengthOf(about(/^Error database: /), 1)
            assert.lengthOf(about(/^Info database: reachable again/), 1)
            assert.lengthOf(about(/^Warn database: notifications unavailable/), 1)
            assert.lengthOf(lines, 4, lines.join("\n"))
          }).pipe(
            Effect.provide(
              PgCameraSource.layer({
                query: "select current_setting('port')::int as id",
                channel: "cameras",
                timing: Effect.succeed({ pollInterval: "500 millis" }),
                listenTiming: { stableAfter: "500 millis" }
              }).pipe(
                Layer.provide(databaseLayer(parse(dsn), defaultSettings.database)),
                Layer.provide(NodeServices.layer)
              )
            )
          )
        }).pipe(Effect.provide(NodeServices.layer), Effect.scoped)
      )
    )

    it.effect("connects to the first that is reachable and has the required role", () =>
      Effect.gen(function* () {
        const primary = yield* parts
        const standby = yield* EmbeddedPostgres.makeStandby
        const closed = yield* Effect.scoped(serve(() => {}))
        const sql = yield* client((yield* Postgres).dsn)
        // both servers have the same user and password
        const password = new URL(Redacted.value(standby.dsn)).password
        const dsn = (hosts: ReadonlyArray<number>, wanted: string) =>
          `postgres://postgres:${password}@${hosts.map((port) => `127.0.0.1:${port}`).join()}/postgres?target_session_attrs=${wanted}`
        yield* sql.unsafe(`alter role postgres password '${password}'`)
        const port = (hosts: ReadonlyArray<number>, wanted: string) =>
          Effect.map(
            asked<{ port: string }>(dsn(hosts, wanted), "select current_setting('port') as port"),
            (row) => Number(row?.port)
          )
        const [p, s, c] = [primary.port, standby.port, closed.port]
        yield* Effect.gen(function* () {
          assert.strictEqual(yield* port([c, p, s], "any"), p)
          assert.strictEqual(yield* port([s, c, p], "any"), s)
          assert.strictEqual(yield* port([s, c, p], "read-write"), p)
          assert.strictEqual(yield* port([s, p], "primary"), p)
          assert.strictEqual(yield* port([p, s], "standby"), s)
          assert.strictEqual(yield* port([p, s], "read-only"), s)
          assert.strictEqual(yield* port([p, c, s], "prefer-standby"), s)
          assert.strictEqual(yield* port([c, p], "prefer-standby"), p)
          const { message } = yield* refusal(dsn([c, s], "read-write"))
          assert.strictEqual(
            message,
            `no host is read-write: 127.0.0.1:${c}: connection refused by 127.0.0.1:${c}; 127.0.0.1:${s}: read-only`
          )
        }).pipe(
          Effect.ensuring(
            Effect.orDie(sql.unsafe(`alter role postgres password '${primary.password}'`))
          )
        )
      }).pipe(Effect.provide(NodeServices.layer))
    )
  })
})
