/** What an error of the database client means to an operator. */
import { oneLine, redact } from "@restream/config"
import * as Predicate from "effect/Predicate"
import type { SqlError } from "effect/sql/SqlError"
import { describeSystemError } from "./SystemError.ts"

/** The SQLSTATE of what the server refused. */
export const codeOf = ({ reason: { cause } }: SqlError): string | undefined =>
  Predicate.hasProperty(cause, "code") && typeof cause.code === "string" ? cause.code : undefined

/** The server's message, or what the socket's error means; on one line, without secrets. */
export const describe = (error: SqlError): string => {
  const cause = error.reason.cause
  const system = describeSystemError(cause)
  if (system !== undefined) return system
  const own = cause instanceof Error && cause.message !== "" ? cause.message : error.reason.message
  const message = own ?? error.message
  return oneLine(redact(message)).slice(0, 300)
}
