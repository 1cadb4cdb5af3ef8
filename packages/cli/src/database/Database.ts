/** The database client. */
import type { Settings } from "@restream/config"
import { type Dsn, SettingsError } from "@restream/config"
import { HostResolver, RegularFile } from "@restream/core"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import { userInfo } from "node:os"
import { addAbortSignal } from "node:stream"
import { type ConnectionOptions, getCACertificates } from "node:tls"
import * as HostSelection from "./HostSelection.ts"
import { connectServer, type Encryption } from "./ServerStream.ts"

export interface ClientOptions {
  /** Default: the DSN's, else `restream`. */
  readonly applicationName?: string | undefined
  /** Default: one for snapshots, and one in reserve for a query that hangs. LISTEN has another one. */
  readonly maxConnections?: number | undefined
}

/**
 * Provides the client. It connects on demand, so the database need not be reachable yet.
 *
 * @param signal breaks all connections when aborted. Default: they end with the layer, which waits up to 5 s for
 * the response to a statement.
 */
export const layer = (
  dsn: Dsn.Dsn,
  settings: Settings["database"],
  signal: AbortSignal = new AbortController().signal,
  options: ClientOptions = {}
): Layer.Layer<PgClient.PgClient | SqlClient, SettingsError, FileSystem.FileSystem> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { encryption, problems, username } = yield* resolve(dsn)
      if (problems.length > 0) {
        return yield* new SettingsError({
          problems: problems.map((message) => ({
            key: undefined,
            origin: "database.dsn",
            message
          }))
        })
      }
      const connectTimeout = Duration.fromInputUnsafe(dsn.connectTimeout ?? settings.connectTimeout)
      const session = {
        database: dsn.database,
        username,
        applicationName: options.applicationName ?? dsn.applicationName ?? "restream",
        startupOptions: dsn.options,
        ssl: false,
        // a connection pooler may send each statement to another session
        prepare: false
      }
      // as for cameras: Node's default lookup delays a name while two other names do not resolve
      const lookup = HostResolver.nodeLookup(yield* HostResolver.HostResolver)
      const connect = (host: Dsn.DsnHost) =>
        addAbortSignal(signal, connectServer({ ...host, lookup }, encryption))
      const [host] = dsn.hosts
      const transport =
        dsn.hosts.length === 1 && host !== undefined && isAny(dsn)
          ? {
              password: dsn.password,
              connectTimeout,
              stream: () => connect(host)
            }
          : HostSelection.make(dsn, connect, { ...session, connectTimeout })
      // the options are validated above, so an error of the driver is a defect
      return Layer.orDie(
        PgClient.layer({ ...session, ...transport, maxConnections: options.maxConnections ?? 2 })
      )
    })
  )

const isAny = ({ targetSessionAttrs = "any" }: Dsn.Dsn) => targetSessionAttrs === "any"

/** The warning about ignored parameters, for a DSN from another program. */
export const ignoredParameters = ({ ignored }: Dsn.Dsn): string =>
  `ignored parameters of PG_DSN, which have no effect here: ${ignored.join(", ")}`

/** Why this machine cannot use a valid DSN; empty if it can. */
export const dsnProblems = (
  dsn: Dsn.Dsn
): Effect.Effect<ReadonlyArray<string>, never, FileSystem.FileSystem> =>
  Effect.map(resolve(dsn), ({ problems }) => problems)

/** The user and the encryption of the connection (libpq, "SSL Mode Descriptions"). */
const resolve = Effect.fnUntraced(function* (dsn: Dsn.Dsn) {
  const problems: Array<string> = []
  const username = dsn.user ?? systemUser()
  if (username === undefined) {
    problems.push("names no user, and the current user of the operating system has no name")
  }
  const { sslmode } = dsn
  const isSocketFolder = dsn.hosts.every(({ host }) => host.startsWith("/"))
  const use = (mode: Encryption["mode"], options: ConnectionOptions = {}) => ({
    problems,
    username,
    encryption: { mode, options }
  })
  if (isSocketFolder || sslmode === "disable") return use("never")
  if (sslmode === undefined || sslmode === "prefer" || sslmode === "allow") {
    return use("prefer", { rejectUnauthorized: false })
  }
  const pem = (parameter: string, file: string | undefined) =>
    file === undefined
      ? Effect.void
      : Effect.catch(RegularFile.readText(file), (error) =>
          Effect.sync(() => {
            problems.push(`cannot read the file of ${parameter}: ${RegularFile.problemOf(error)}`)
          })
        )
  const ca =
    dsn.sslrootcert === "system"
      ? getCACertificates("system")
      : yield* pem("sslrootcert", dsn.sslrootcert)
  const cert = yield* pem("sslcert", dsn.sslcert)
  const key = yield* pem("sslkey", dsn.sslkey)
  return use("require", {
    ...(ca === undefined ? {} : { ca }),
    ...(typeof cert === "string" ? { cert } : {}),
    ...(typeof key === "string" ? { key } : {}),
    // `require` encrypts without verification, unless sslrootcert is set
    rejectUnauthorized: sslmode !== "require" || ca !== undefined,
    // only `verify-full` verifies the name in the certificate
    ...(sslmode === "verify-full" ? {} : { checkServerIdentity: () => undefined })
  })
})

/** libpq's default user; `undefined` where the user of the process has no name. */
const systemUser = (): string | undefined => {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
