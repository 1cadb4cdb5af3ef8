/** The database client. */
import type { Settings } from "@restream/config"
import { type Dsn, SettingsError } from "@restream/config"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { isIP } from "node:net"
import { userInfo } from "node:os"
import type { ConnectionOptions } from "node:tls"
import { fileProblem } from "../text/FileProblem.ts"
import { preferTls } from "./PreferTls.ts"

/** One for snapshots, and one in reserve for a query that hangs. LISTEN has another one. */
const maxConnections = 2

/** Provides the client. It connects on demand, so the database need not be reachable yet. */
export const layer = (
  dsn: Dsn.Dsn,
  settings: Settings["database"]
): Layer.Layer<PgClient.PgClient | SqlClient, SettingsError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { problems, username, ...transport } = yield* connection(dsn)
      if (problems.length > 0) {
        return yield* new SettingsError({
          problems: problems.map((message) => ({
            key: undefined,
            origin: "database.dsn",
            message
          }))
        })
      }
      // the options are validated above, so an error of the driver is a defect
      return Layer.orDie(
        PgClient.layer({
          ...transport,
          database: dsn.database,
          username,
          password: dsn.password,
          applicationName: dsn.applicationName ?? "restream",
          startupOptions: dsn.options,
          connectTimeout: dsn.connectTimeout ?? settings.connectTimeout,
          keepAlive: "30 seconds",
          // a connection pooler may send each statement to another session
          prepare: false,
          maxConnections
        })
      )
    })
  )

/** Why this machine cannot use a valid DSN; empty if it can. */
export const dsnProblems = (
  dsn: Dsn.Dsn
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  Effect.map(connection(dsn), ({ problems }) => problems)

/** The user, the address and the encryption of the connection (libpq, "SSL Mode Descriptions"). */
const connection = Effect.fnUntraced(function* (dsn: Dsn.Dsn) {
  const problems: Array<string> = []
  const username = dsn.user ?? systemUser()
  if (username === undefined) {
    problems.push("names no user, and the current user of the operating system has no name")
  }
  const { host, port, sslmode } = dsn
  const isSocketFolder = host.startsWith("/")
  const address = { host, port, username, problems }
  if (isSocketFolder || sslmode === "disable") return { ...address, ssl: false as const }
  if (sslmode === undefined || sslmode === "prefer" || sslmode === "allow") {
    return { ...address, ssl: false as const, stream: preferTls({ host, port }) }
  }
  const fs = yield* FileSystem.FileSystem
  const pem = (parameter: string, file: string | undefined) =>
    file === undefined
      ? Effect.void
      : Effect.catch(fs.readFileString(file), (error) =>
          Effect.sync(() => {
            problems.push(`cannot read the file of ${parameter}: ${fileProblem(error)}`)
          })
        )
  const ca = yield* pem("sslrootcert", dsn.sslrootcert)
  const cert = yield* pem("sslcert", dsn.sslcert)
  const key = yield* pem("sslkey", dsn.sslkey)
  const ssl: ConnectionOptions = {
    ...(typeof ca === "string" ? { ca } : {}),
    ...(typeof cert === "string" ? { cert } : {}),
    ...(typeof key === "string" ? { key } : {}),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // `require` encrypts without verification, unless sslrootcert is set
    rejectUnauthorized: sslmode !== "require" || typeof ca === "string",
    // only `verify-full` verifies the name in the certificate
    ...(sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined })
  }
  return { ...address, ssl }
})

/** libpq's default user; `undefined` where the user of the process has no name. */
const systemUser = (): string | undefined => {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
