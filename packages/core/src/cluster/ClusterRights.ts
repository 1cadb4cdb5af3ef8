/** Checks the rights of a node on the tables of its cluster, and makes the statements that grant missing rights. */
import type * as PgClient from "@effect/sql-pg/PgClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { PersistenceError } from "effect/cluster/ClusterError"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import { isSqlError } from "effect/sql/SqlError"
import * as SqlProblem from "../source/SqlProblem.ts"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import * as Monotonic from "../time/Monotonic.ts"
import type { MembershipProblem } from "./Ownership.ts"
import { named } from "./TableNames.ts"

const tablesOf = (prefix: string) =>
  (["runners", "locks", "refusals"] as const).map((table) => named(prefix, table))
const sequenceOf = (prefix: string) => named(prefix, "runners_machine_id_seq")

/** The statements by which the owner of the tables allows a role to run nodes. */
export const grantStatements = (prefix: string, role: string): ReadonlyArray<string> => [
  `grant select, insert, update, delete on ${tablesOf(prefix).join(", ")} to ${role}`,
  `grant usage on sequence ${sequenceOf(prefix)} to ${role}`
]

interface Refused {
  readonly role: string
  readonly object: string
  readonly privilege: string
}

/** The rights that a node needs and the client's role lacks. An object that does not exist is left out. */
const missingRights = (sql: PgClient.PgClient, prefix: string) =>
  sql.unsafe<Refused>(
    `select quote_ident(current_user) as role, object, privilege from (
      select 1 as kind, t.at, p.at as nth, object, privilege,
        has_table_privilege(to_regclass(object), privilege) as has
      from unnest($1::text[]) with ordinality t(object, at)
      cross join unnest(array['select', 'insert', 'update', 'delete']) with ordinality p(privilege, at)
      union all select 2, 1, 1, $2, 'usage', has_sequence_privilege(to_regclass($2), 'usage')
    ) checked where not has order by kind, at, nth`,
    [tablesOf(prefix), sequenceOf(prefix)]
  )

const describe = (refused: ReadonlyArray<Refused>): string => {
  const byObject = new Map<string, Array<string>>()
  for (const { object, privilege } of refused) {
    byObject.set(object, [...(byObject.get(object) ?? []), privilege])
  }
  return [...byObject].map(([object, rights]) => `${rights.join(", ")} on ${object}`).join("; ")
}

/** The SQLSTATEs of a closed connection and of a server that starts or stops, which the camera source reports. */
const isUnavailable = (code: string): boolean => /^(08|57)/.test(code)

type Operation = "getRunners" | "register" | "acquire" | "refresh"

export interface WatchedStorage {
  readonly storage: RunnerStorage["Service"]
  /** The operation that the database refuses; `undefined` while it refuses none. */
  readonly problem: () => MembershipProblem | undefined
}

/**
 * Decorates a storage: logs once which operation the database refuses and the statement that grants it. The camera
 * source reports a database that does not respond.
 */
export const watch = (
  storage: RunnerStorage["Service"],
  sql: PgClient.PgClient,
  prefix: string
): WatchedStorage => {
  const incidents = new Incidents<"cluster">()
  /** The refusals by operation. */
  const refusals = new Map<
    Operation,
    { readonly code: string; readonly problem: MembershipProblem }
  >()

  const explain = Effect.fnUntraced(function* (code: string, detail: string) {
    const refused =
      code === "42501"
        ? yield* Effect.orElseSucceed(missingRights(sql, prefix), (): ReadonlyArray<Refused> => [])
        : []
    const [first] = refused
    return first === undefined
      ? {
          message: `the database refuses a query of the cluster: ${detail}`,
          advice:
            code === "25006"
              ? "Connect the nodes to the primary server: a read replica cannot be written."
              : "Check the tables and the rights of the cluster; see docs/scaling.md."
        }
      : {
          message: `the database role ${first.role} lacks rights on the tables of the cluster: ${describe(refused)}`,
          advice: `As their owner, run: ${grantStatements(prefix, first.role).join("; ")};`
        }
  })

  const failed = Effect.fnUntraced(function* (operation: Operation, { cause }: PersistenceError) {
    const error = isSqlError(cause) ? cause : undefined
    const code = error === undefined ? undefined : SqlProblem.codeOf(error)
    if (
      error === undefined ||
      code === undefined ||
      !/^[0-9A-Z]{5}$/.test(code) ||
      isUnavailable(code)
    ) {
      return
    }
    const known = refusals.get(operation)
    // the same refusal occurs several times a second
    if (known?.code === code) return
    const { advice, message } = yield* explain(code, SqlProblem.describe(error))
    refusals.set(operation, {
      code,
      problem: { message, advice, since: yield* Clock.currentTimeMillis }
    })
    const notice = incidents.failed("cluster", message, yield* Monotonic.now)
    if (notice !== undefined) {
      yield* Effect.logError(`${message}. ${advice}${suffixOf(notice)}`)
    }
  })

  const succeeded = Effect.fnUntraced(function* (operation: Operation) {
    if (!refusals.delete(operation) && refusals.size === 0 && !incidents.has("cluster")) return
    // a node that may only read the tables is not a member yet
    if (refusals.size > 0 || operation === "getRunners") return
    const notice = incidents.succeeded("cluster", yield* Monotonic.now)
    if (notice !== undefined) {
      yield* Effect.logInfo("the database accepts the queries of this node")
    }
  })

  const watched = <A>(operation: Operation, effect: Effect.Effect<A, PersistenceError>) =>
    effect.pipe(
      Effect.tapError((error) => failed(operation, error)),
      Effect.tap(() => succeeded(operation))
    )

  return {
    problem: () => [...refusals.values()][0]?.problem,
    storage: RunnerStorage.of({
      ...storage,
      getRunners: watched("getRunners", storage.getRunners),
      register: (runner, healthy) => watched("register", storage.register(runner, healthy)),
      acquire: (address, shards) => watched("acquire", storage.acquire(address, shards)),
      refresh: (address, shards) => watched("refresh", storage.refresh(address, shards))
    })
  }
}
