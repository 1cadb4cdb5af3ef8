/**
 * Shares the refusals of devices among the nodes of a cluster, in a table.
 *
 * Before a node tries credentials that none of its own cameras proves, it claims them here, so that two nodes do not
 * try them at the same time. The row holds the refusals so far. The table holds credentials as digests, under a key
 * that is not in the database. Statements run one after the other, each for a batch of all pending operations.
 *
 * Without the table, or while the database is unreachable, each node decides by its own refusals.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type { SqlError } from "effect/sql/SqlError"
import { createHmac } from "node:crypto"
import type { CameraId } from "../camera/Camera.ts"
import {
  type Claim,
  granted,
  type Known,
  type Outcome,
  type RefusalsService
} from "../probing/Refusals.ts"
import * as SqlProblem from "../source/SqlProblem.ts"
import { named } from "./TableNames.ts"

export interface SharedRefusalsOptions {
  /** The prefix of the cluster's tables. */
  readonly tablePrefix: string
  /** The name of this node. */
  readonly name: string
  /** The key of the digests; the same on all nodes. */
  readonly key: Redacted.Redacted
}

/** Unlogged: the table changes with each start of a camera, and its loss in a crash of the database is harmless. */
export const createStatement = (tablePrefix: string): string =>
  `create unlogged table if not exists ${named(tablePrefix, "refusals")} (
  account text primary key,
  trying text,
  trying_until timestamptz,
  suspects jsonb not null default '{}',
  refusals int not null default 0,
  refused_by text,
  reason text,
  refused_until timestamptz,
  accepted_at timestamptz,
  expires_at timestamptz not null
)`

/** How long another node waits for the outcome of an attempt. */
const claimFor = "interval '5 seconds'"
/** How long another node need not try the cameras of accepted credentials one at a time. */
const provenFor = "interval '30 seconds'"
/** How long a row is kept after its last refusal or acceptance. */
const keepFor = "interval '1 day'"
/** How long a camera waits for the result of a claim. */
const claimTimeout = "1 second"
/** How long no statement is sent after a failed statement. */
const pauseMs = 5_000
/** The same if the table does not exist, or the role may not use it. */
const longPauseMs = 60_000
/** The SQLSTATE of a missing right. */
const missingRight = "42501"
/** The same, and the SQLSTATE of a table that does not exist. */
const unusable = new Set(["42P01", missingRight])

type Operation =
  | {
      readonly _tag: "Claim"
      readonly account: string
      readonly camera: string
      readonly isForced: boolean
      readonly answer: Deferred.Deferred<Claim>
    }
  | { readonly _tag: "Report"; readonly account: string; readonly outcome: Outcome }
  | {
      readonly _tag: "Recall"
      readonly accounts: ReadonlyArray<string>
      readonly answer: Deferred.Deferred<ReadonlyMap<string, Known>>
    }

interface KnownRow {
  readonly account: string
  readonly suspects: Readonly<Record<string, boolean>> | null
  readonly refusals: number
  readonly accepted_ago_ms: number | null
  readonly refused_by: string | null
  readonly reason: string | null
  readonly until_in_ms: number | null
}

const knownColumns = `suspects, refusals, refused_by, reason,
  (extract(epoch from clock_timestamp() - accepted_at) * 1000)::float8 as accepted_ago_ms,
  (extract(epoch from refused_until - clock_timestamp()) * 1000)::float8 as until_in_ms`

const knownOf = (row: KnownRow): Known | undefined =>
  row.suspects === null
    ? undefined
    : {
        suspects: new Map(Object.entries(row.suspects)),
        refusals: row.refusals,
        acceptedAgoMs: row.accepted_ago_ms ?? undefined,
        last:
          row.until_in_ms === null
            ? undefined
            : {
                by: (row.refused_by ?? "") as CameraId,
                code: row.reason ?? "",
                untilInMs: row.until_in_ms
              }
      }

/** Serves the cameras of this node as long as the scope lives. Never fails. */
export const make = Effect.fnUntraced(function* ({
  key,
  name,
  tablePrefix
}: SharedRefusalsOptions) {
  const sql = yield* PgClient.PgClient
  const operations = yield* Queue.unbounded<Operation>()
  const table = named(tablePrefix, "refusals")
  const hmac = (text: string) =>
    createHmac("sha256", Redacted.value(key)).update(text).digest("hex").slice(0, 32)
  let pausedUntilMs = -Infinity
  let reported: string | undefined

  const isPaused = () => performance.now() < pausedUntilMs
  const run = <Row extends object>(statement: string, parameters: object) =>
    sql.unsafe<Row>(statement, [JSON.stringify(parameters)])

  /** Claims the accounts that are free, and returns what is known of all accounts. */
  const claim = (claims: ReadonlyArray<Extract<Operation, { readonly _tag: "Claim" }>>) =>
    Effect.gen(function* () {
      if (claims.length === 0) return
      const rows = yield* run<
        KnownRow & { readonly is_granted: boolean; readonly is_proven: boolean }
      >(
        `with claims as (
          select * from json_to_recordset($1::json) as c(account text, camera text, forced boolean, node text)
        ), made as (
          insert into ${table} (account, trying, trying_until, expires_at)
          select account, node, clock_timestamp() + ${claimFor}, clock_timestamp() + ${keepFor}
          from claims order by account
          on conflict do nothing returning account
        ), locked as (
          select t.*, coalesce(t.suspects = '{}' and t.accepted_at > clock_timestamp() - ${provenFor}, false) as proven
          from ${table} t where account in (select account from claims) order by account for update
        ), taken as (
          update ${table} t set
            trying = case when l.proven then null else c.node end,
            trying_until = case when l.proven then null else clock_timestamp() + ${claimFor} end,
            expires_at = greatest(l.expires_at, clock_timestamp() + ${keepFor})
          from locked l join claims c on c.account = l.account
          where t.account = l.account
            and (l.proven or l.trying_until is null or l.trying = c.node or l.trying_until <= clock_timestamp())
            and (c.forced or l.refused_until is null or l.refused_until <= clock_timestamp()
              or ((select count(*) from jsonb_object_keys(l.suspects)) < 2 and not jsonb_exists(l.suspects, c.camera)))
          returning t.account
        )
        select c.account, ${knownColumns}, coalesce(l.proven, false) as is_proven,
          (m.account is not null or k.account is not null) as is_granted
        from claims c left join made m on m.account = c.account
          left join taken k on k.account = c.account left join locked l on l.account = c.account`,
        claims.map(({ account, camera, isForced }) => ({
          account,
          camera,
          forced: isForced,
          node: name
        }))
      )
      const found = new Map(rows.map((row) => [row.account, row]))
      for (const { account, answer } of claims) {
        const row = found.get(account)
        Deferred.doneUnsafe(
          answer,
          Effect.succeed(
            row === undefined
              ? granted
              : { isGranted: row.is_granted, isProven: row.is_proven, known: knownOf(row) }
          )
        )
      }
    })

  const done = "trying = null, trying_until = null"
  const statements: Record<Outcome["_tag"], string> = {
    Accepted: `insert into ${table} as t (account, accepted_at, expires_at)
      select account, clock_timestamp(), clock_timestamp() + ${keepFor}
      from json_to_recordset($1::json) as o(account text) order by account
      on conflict (account) do update set ${done}, suspects = '{}', refusals = 0, refused_by = null, reason = null,
        refused_until = null, accepted_at = excluded.accepted_at, expires_at = excluded.expires_at`,
    Refused: `insert into ${table} as t (account, suspects, refusals, refused_by, reason, refused_until, expires_at)
      select account, jsonb_build_object(camera, "wasAccepted"), 1, "by", code,
        clock_timestamp() + "delayMs" * interval '1 millisecond',
        clock_timestamp() + "delayMs" * interval '1 millisecond' + ${keepFor}
      from json_to_recordset($1::json) as
        o(account text, camera text, "by" text, code text, "wasAccepted" boolean, "delayMs" float8) order by account
      on conflict (account) do update set ${done}, suspects = t.suspects || excluded.suspects,
        refusals = t.refusals + 1, refused_by = excluded.refused_by, reason = excluded.reason,
        refused_until = excluded.refused_until, expires_at = excluded.expires_at`,
    Ended: `update ${table} t set refused_until = clock_timestamp() + "delayMs" * interval '1 millisecond'
      from json_to_recordset($1::json) as o(account text, "delayMs" float8)
      where t.account = o.account and refused_until > clock_timestamp() + "delayMs" * interval '1 millisecond'`,
    Released: `update ${table} t set ${done}
      from json_to_recordset($1::json) as o(account text, node text)
      where t.account = o.account and trying = node`
  }

  const record = (reports: ReadonlyArray<Extract<Operation, { readonly _tag: "Report" }>>) =>
    Effect.forEach(
      Object.entries(statements),
      ([tag, statement]) => {
        const rows = reports.flatMap(({ account, outcome }) =>
          outcome._tag === tag ? [{ ...outcome, account, node: name }] : []
        )
        return rows.length === 0 ? Effect.void : Effect.asVoid(run(statement, rows))
      },
      { discard: true }
    )

  const recall = ({ accounts, answer }: Extract<Operation, { readonly _tag: "Recall" }>) =>
    Effect.gen(function* () {
      const rows = yield* run<KnownRow>(
        `select account, ${knownColumns} from ${table}
        where account in (select json_array_elements_text($1::json))`,
        accounts
      )
      Deferred.doneUnsafe(
        answer,
        Effect.succeed(
          new Map(
            rows.flatMap((row) => {
              const known = knownOf(row)
              return known === undefined ? [] : [[row.account, known] as const]
            })
          )
        )
      )
    })

  /** Completes an operation that has no result yet, so that this node decides by its own refusals. */
  const completeWithoutTable = (operation: Operation) => {
    if (operation._tag === "Claim") {
      Deferred.doneUnsafe(operation.answer, Effect.succeed(granted))
    } else if (operation._tag === "Recall") {
      Deferred.doneUnsafe(operation.answer, Effect.succeed(new Map()))
    }
  }

  const onError = (error: SqlError) =>
    Effect.suspend(() => {
      const code = SqlProblem.codeOf(error) ?? ""
      const isUnusable = unusable.has(code)
      pausedUntilMs = performance.now() + (isUnusable ? longPauseMs : pauseMs)
      const problem = SqlProblem.describe(error)
      if (!isUnusable) return Effect.logDebug(`cannot share refused credentials: ${problem}`)
      if (problem === reported) return Effect.void
      reported = problem
      return Effect.logWarning(
        `nodes do not share refused credentials, so a wrong password costs an attempt of each node: ${problem}; ${
          code === missingRight
            ? `grant select, insert, update, delete on ${table} to the role of PG_DSN`
            : `restream db init --cluster creates the table ${table}`
        }`
      )
    })

  const serve = Effect.gen(function* () {
    let batch: ReadonlyArray<Operation> = yield* Queue.takeAll(operations)
    while (batch.length > 0) {
      // one operation per account in each round, in the order of arrival
      const accounts = new Set<string>()
      const now: Array<Operation> = []
      const later: Array<Operation> = []
      for (const operation of batch) {
        if (operation._tag === "Recall") {
          if (now.length === 0) now.push(operation)
          else later.push(operation)
        } else if (accounts.has(operation.account)) later.push(operation)
        else {
          accounts.add(operation.account)
          now.push(operation)
        }
      }
      const send = Effect.gen(function* () {
        yield* record(now.filter((operation) => operation._tag === "Report"))
        yield* claim(now.filter((operation) => operation._tag === "Claim"))
        yield* Effect.forEach(
          now.filter((operation) => operation._tag === "Recall"),
          recall,
          { discard: true }
        )
      })
      if (!isPaused()) yield* Effect.catch(send, onError)
      now.forEach(completeWithoutTable)
      batch = later
    }
  }).pipe(Effect.forever)

  const expire = Effect.suspend(() =>
    isPaused()
      ? Effect.void
      : sql.unsafe(`delete from ${table} where expires_at < now()`).pipe(Effect.ignore)
  ).pipe(Effect.andThen(Effect.sleep("1 hour")), Effect.forever)

  yield* Effect.forkScoped(Effect.annotateLogs(serve, "module", "cluster"))
  yield* Effect.forkScoped(Effect.delay(expire, "1 minute"))

  const service: RefusalsService = {
    isShared: true,
    digest: hmac,
    claim: (group, camera, isForced) =>
      Effect.gen(function* () {
        if (isPaused()) return granted
        const answer = yield* Deferred.make<Claim>()
        Queue.offerUnsafe(operations, {
          _tag: "Claim",
          account: hmac(Redacted.value(group)),
          camera,
          isForced,
          answer
        })
        const claimed = yield* Effect.timeoutOption(Deferred.await(answer), claimTimeout)
        if (Option.isNone(claimed)) pausedUntilMs = performance.now() + pauseMs
        return Option.getOrElse(claimed, () => granted)
      }),
    tell: (group, outcome) => {
      if (isPaused()) return
      Queue.offerUnsafe(operations, {
        _tag: "Report",
        account: hmac(Redacted.value(group)),
        outcome
      })
    },
    recall: (groups) =>
      Effect.gen(function* () {
        if (isPaused()) return new Map()
        const byAccount = new Map(groups.map((group) => [hmac(Redacted.value(group)), group]))
        const answer = yield* Deferred.make<ReadonlyMap<string, Known>>()
        Queue.offerUnsafe(operations, { _tag: "Recall", accounts: [...byAccount.keys()], answer })
        const known = yield* Effect.timeoutOption(Deferred.await(answer), claimTimeout)
        return new Map(
          [...Option.getOrElse(known, () => new Map<string, Known>())].map(([account, each]) => [
            byAccount.get(account)!,
            each
          ])
        )
      })
  }
  return service
})
