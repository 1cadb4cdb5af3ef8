/** Describes errors of the database client for an operator. */
import { oneLine, redact } from "@restream/config"
import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"
import { describeSystemError } from "./SystemError.ts"

/** The SQLSTATE of an error. */
export const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined

/**
 * Describes the refusal of a connection pooler that accepts only the usual startup parameters: PgBouncer and its
 * derivatives, and Amazon RDS Proxy.
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

/** The server's message, or the meaning of the socket's error; one line without secrets. */
export const describe = (error: SqlError): string => {
  const cause = error.reason.cause
  const system = describeSystemError(cause)
  if (system !== undefined) return system
  const own = cause instanceof Error && cause.message !== "" ? cause.message : error.reason.message
  return refusedParameter(error) ?? oneLine(redact(own ?? error.message)).slice(0, 300)
}
