/**
 * Several hosts of one database (libpq, "Specifying Multiple Hosts").
 *
 * Before each connection of the client, a separate connection finds the first host that is reachable and has the
 * required role. The driver connects to one host only, and a server's role is known only after the login.
 */
import { bracketed, type Dsn } from "@restream/config"
import { SqlProblem } from "@restream/core"
import * as PgConnection from "@effect/sql-pg/PgConnection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Duplex } from "node:stream"

/** The role of a server, by its own report. */
interface Role {
  readonly isStandby: boolean
  readonly isReadOnly: boolean
}

const askRole = `select pg_is_in_recovery() as "isStandby",
  current_setting('transaction_read_only') = 'on' as "isReadOnly"`

/** Why a server does not match the attributes; `undefined` if it does. */
const mismatch = (wanted: Dsn.TargetSessionAttrs, role: Role): string | undefined => {
  switch (wanted) {
    case "any":
    case "prefer-standby":
      return undefined
    case "read-write":
      return role.isReadOnly ? "read-only" : undefined
    case "read-only":
      return role.isReadOnly ? undefined : "not read-only"
    case "primary":
      return role.isStandby ? "a standby" : undefined
    case "standby":
      return role.isStandby ? undefined : "not a standby"
  }
}

/** The parts of the driver's configuration that direct each connection to a suitable host. */
export const make = (
  dsn: Dsn.Dsn,
  connect: (host: Dsn.DsnHost) => Duplex,
  session: PgConnection.Config & { readonly connectTimeout: Duration.Duration }
): Pick<PgConnection.Config, "password" | "connectTimeout" | "stream"> => {
  const wanted = dsn.targetSessionAttrs ?? "any"
  let chosen: Dsn.DsnHost | undefined
  let problem = ""

  const roleOf = (host: Dsn.DsnHost) =>
    PgConnection.make({
      ...session,
      password: dsn.password,
      stream: () => connect(host)
    }).pipe(
      Effect.flatMap((connection) => connection.query(askRole, [], false)),
      Effect.scoped,
      Effect.map(({ rows: [row] }) => row as unknown as Role),
      Effect.timeoutOrElse({
        duration: session.connectTimeout,
        orElse: () => Effect.succeed("no response")
      }),
      Effect.catch((error) => Effect.succeed(SqlProblem.describe(error)))
    )

  /** The first matching host, in the order of the DSN. */
  const select = Effect.gen(function* () {
    const problems: Array<string> = []
    let primary: Dsn.DsnHost | undefined
    for (const host of dsn.hosts) {
      const role = yield* roleOf(host)
      const fault = typeof role === "string" ? role : mismatch(wanted, role)
      if (fault !== undefined) {
        problems.push(`${bracketed(host.host)}:${host.port}: ${fault}`)
      } else if (wanted === "prefer-standby" && typeof role !== "string" && !role.isStandby) {
        primary ??= host
      } else {
        return host
      }
    }
    if (primary === undefined) {
      problem = `no host is ${wanted === "any" ? "reachable" : wanted}: ${problems.join("; ")}`
    }
    return primary
  })

  return {
    // the driver reads the password before each connection
    password: Effect.as(
      Effect.tap(select, (host) =>
        Effect.sync(() => {
          chosen = host
        })
      ),
      dsn.password ?? Redacted.make("")
    ),
    // each host may take the whole timeout
    connectTimeout: Duration.times(session.connectTimeout, dsn.hosts.length + 1),
    stream: () => {
      if (chosen === undefined) throw new Error(problem)
      return connect(chosen)
    }
  }
}
