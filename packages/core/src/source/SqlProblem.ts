/** What an error of the database client means to an operator. */
import { oneLine, redact } from "@restream/config"
import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"
import { describeSystemError } from "./SystemError.ts"

/** The SQLSTATE of what the server refused. */
export const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined

/**
 * The problem of a connection pooler that accepts no startup parameter but the usual ones: PgBouncer, and what
 * is built like it; Amazon RDS Proxy.
 */
export const refusedParameter = (error: SqlError): string | undefined => {
  const { cause } = error.reason
  const message = cause instanceof Error ? cause.message : ""
  const name = /unsupported startup parameter(?: in options)?:? "?([\w.]+)/i.exec(message)?.[1]
  const parameter = name ?? (/command-line options/i.test(message) ? "options" : undefined)
  return parameter === undefined
    ? undefined
    : `a connection pooler refuses the startup parameter ${parameter}; remove options, schema, currentSchema or search_path from PG_DSN, or add ${parameter} to ignore_startup_parameters of PgBouncer`
}

/** The server's message, or what the socket's error means; on one line, without secrets. */
export const describe = (error: SqlError): string => {
  const cause = error.reason.cause
  const system = describeSystemError(cause)
  if (system !== undefined) return system
  const own = cause instanceof Error && cause.message !== "" ? cause.message : error.reason.message
  return refusedParameter(error) ?? oneLine(redact(own ?? error.message)).slice(0, 300)
}
