/** Describes system errors of a socket to the database. */
import * as Predicate from "effect/Predicate"

const text = (error: object, name: string): string | undefined => {
  const value: unknown = Predicate.hasProperty(error, name) ? error[name] : undefined
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined
}

/** One line that names the cause and the address; `undefined` for any other error. */
export const describeSystemError = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null) return undefined
  // all addresses of a host name failed: the error of the first address is shown
  const [first] = error instanceof AggregateError ? (error.errors as ReadonlyArray<unknown>) : []
  if (first !== undefined) return describeSystemError(first)
  const host = text(error, "hostname")
  const address = text(error, "address")
  const port = text(error, "port")
  const peer = address === undefined ? "the database server" : `${address}:${port ?? ""}`
  switch (text(error, "code")) {
    case "ENOTFOUND":
      return `cannot resolve database host "${host ?? ""}" (PG_DSN): no such host`
    case "EAI_AGAIN":
      return `cannot resolve database host "${host ?? ""}" (PG_DSN): the name server did not answer`
    case "ECONNREFUSED":
      return `connection refused by ${peer}`
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return `no route to ${peer}`
    case "ETIMEDOUT":
      return `connection to ${peer} timed out`
    case "ECONNRESET":
    case "EPIPE":
      return `connection closed by the database server`
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `the certificate of the database server is signed by itself or by an authority that is not trusted; set sslrootcert in PG_DSN to the authority's certificate (${text(error, "code")})`
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return "the certificate of the database server is for another host; connect to a host that it names, or use sslmode=verify-ca in PG_DSN (ERR_TLS_CERT_ALTNAME_INVALID)"
    default:
      return undefined
  }
}
