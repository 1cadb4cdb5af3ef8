/** The client of the database, from the settings. */
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

/** LISTEN keeps one connection, a snapshot takes one, and one is left for a query that hangs. */
const maxConnections = 3

/** Provides the client; a connection is made only when one is needed, so the database may be away. */
export const layer = (
  dsn: Dsn.Dsn,
  settings: Settings["database"]
): Layer.Layer<PgClient.PgClient | SqlClient, SettingsError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { problems, username, ...transport } = yield* connection(dsn)
      if (problems.length > 0) {
        return yield* new SettingsError({
          faults: problems.map((expectation) => ({
            key: undefined,
            origin: "database.dsn",
            expectation
          }))
        })
      }
      // the options are ours and complete; what the driver could still find wrong is a defect
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
          maxConnections
        })
      )
    })
  )

/** What keeps this machine from connecting by a DSN that is understood; none if all is well. */
export const dsnProblems = (
  dsn: Dsn.Dsn
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  Effect.map(connection(dsn), ({ problems }) => problems)

/** Who we are, where the server is, and how the way there is encrypted (libpq, "SSL Mode Descriptions"). */
const connection = Effect.fnUntraced(function* (dsn: Dsn.Dsn) {
  const problems: Array<string> = []
  const username = dsn.user ?? systemUser()
  if (username === undefined) {
    problems.push("names no user, and the operating system has no name for this one")
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
            problems.push(`${parameter} names a file that can't be read: ${fileProblem(error)}`)
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
    // `require` encrypts and looks no further, unless an authority's certificate is given
    rejectUnauthorized: sslmode !== "require" || typeof ca === "string",
    // only `verify-full` looks at the name in the certificate
    ...(sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined })
  }
  return { ...address, ssl }
})

/** As libpq does it where a DSN names no user; a process may run as one that has no name. */
const systemUser = (): string | undefined => {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
