/** The client of the database, from the settings. */
import type { Settings } from "@restream/config"
import { type Dsn, SettingsError } from "@restream/config"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { isIP } from "node:net"
import type { ConnectionOptions } from "node:tls"
import { preferTls } from "./PreferTls.ts"

/** LISTEN keeps one connection, a snapshot takes one, and one is left for a query that hangs. */
const maxConnections = 3

/** Provides the client; a connection is made only when one is needed, so the database may be away. */
export const layer = (
  dsn: Dsn.Dsn,
  settings: Settings["database"]
): Layer.Layer<PgClient.PgClient | SqlClient, SettingsError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.map(transport(dsn), (transport) =>
      // the options are ours and complete; what the driver could still find wrong is a defect
      Layer.orDie(
        PgClient.layer({
          ...transport,
          database: dsn.database,
          username: dsn.user,
          password: dsn.password,
          applicationName: dsn.applicationName ?? "restream",
          startupOptions: dsn.options,
          connectTimeout: dsn.connectTimeout ?? settings.connectTimeout,
          keepAlive: "30 seconds",
          maxConnections
        })
      )
    )
  )

/** Where the server is, and how the way there is encrypted (libpq, "SSL Mode Descriptions"). */
const transport = Effect.fnUntraced(function* (dsn: Dsn.Dsn) {
  const { host, port, sslmode } = dsn
  const isSocketFolder = host.startsWith("/")
  const address = { host, port }
  if (isSocketFolder || sslmode === "disable") return { ...address, ssl: false as const }
  if (sslmode === undefined || sslmode === "prefer" || sslmode === "allow") {
    return { ...address, ssl: false as const, stream: preferTls(address) }
  }
  const fs = yield* FileSystem.FileSystem
  const pem = (parameter: string, file: string | undefined) =>
    file === undefined
      ? Effect.void
      : Effect.mapError(
          fs.readFileString(file),
          ({ reason }) =>
            new SettingsError({
              faults: [
                {
                  key: "database.dsn",
                  origin: parameter,
                  expectation: `expected a readable file: ${reason._tag}`
                }
              ]
            })
        )
  const ca = yield* pem("sslrootcert", dsn.sslrootcert)
  const cert = yield* pem("sslcert", dsn.sslcert)
  const key = yield* pem("sslkey", dsn.sslkey)
  const ssl: ConnectionOptions = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    // `require` encrypts and looks no further, unless an authority's certificate is given
    rejectUnauthorized: sslmode !== "require" || ca !== undefined,
    // only `verify-full` looks at the name in the certificate
    ...(sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined })
  }
  return { ...address, ssl }
})
