/**
 * The URL of a PostgreSQL database, such as
 * `postgres://user:password@host:5432/database?sslmode=require` (libpq, "Connection URIs").
 *
 * It is parsed here and not by the driver, whose errors may contain the URL. No message of this module
 * repeats a part of its input.
 */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { bracketed, ipv6, isHost, isPort } from "./Host.ts"

/** How the connection is encrypted, by libpq's names. */
export const sslModes = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full"
] as const
export type SslMode = (typeof sslModes)[number]

/** The parts of a DSN. They print without the password; {@link reveal} gives the whole URL. */
export interface Dsn {
  /** A name, an address (IPv6 without brackets), or the directory of a Unix socket. Default `localhost`. */
  readonly host: string
  /** Default 5432. */
  readonly port: number
  readonly user: string | undefined
  readonly password: Redacted.Redacted | undefined
  readonly database: string | undefined
  readonly sslmode: SslMode | undefined
  /** PEM files: the certificate of the authority, the client certificate, its key. */
  readonly sslrootcert: string | undefined
  readonly sslcert: string | undefined
  readonly sslkey: string | undefined
  readonly applicationName: string | undefined
  /** Options for the session on the server, such as `-c search_path=video`. */
  readonly options: string | undefined
  /** From `connect_timeout`; 0, libpq's "wait indefinitely", counts as not set. */
  readonly connectTimeout: Duration.Duration | undefined
  /** The names of parameters that are valid for libpq and have no effect here. */
  readonly ignored: ReadonlyArray<string>
}

const example = "postgres://user:password@host:5432/database"
const hint = "; in the user name and password, write / # ? % @ as %2F %23 %3F %25 %40"

/** Parameters of libpq that have no effect here. */
const ignored: ReadonlySet<string> = new Set([
  "channel_binding",
  "client_encoding",
  "fallback_application_name",
  "gssencmode",
  "keepalives",
  "keepalives_count",
  "keepalives_idle",
  "keepalives_interval",
  "load_balance_hosts",
  "sslcompression",
  "sslnegotiation",
  "sslsni",
  "target_session_attrs",
  "tcp_user_timeout"
])

const supported = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "application_name",
  "options",
  "connect_timeout"
] as const
type Parameter = (typeof supported)[number]

const isParameter = (name: string): name is Parameter =>
  (supported as ReadonlyArray<string>).includes(name)

// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f]/

/** The decoded text; `undefined` for an invalid escape, for bytes that are not UTF-8, and for NUL. */
const decode = (text: string): string | undefined => {
  try {
    const plain = decodeURIComponent(text)
    return plain.includes("\0") ? undefined : plain
  } catch {
    return undefined
  }
}

const malformed = (problem: string) => Result.fail(`${problem}${hint}`)

const decoded = (text: string, where: string): Result.Result<string, string> => {
  const plain = decode(text)
  return plain === undefined
    ? malformed(`the ${where} contains an invalid percent-encoding`)
    : Result.succeed(plain)
}

const given = (value: string | undefined) => (value === "" ? undefined : value)

/** Parses a DSN, or fails with one line that repeats no part of it. */
export const parse = (text: string): Result.Result<Dsn, string> =>
  Result.gen(function* () {
    const scheme = /^postgres(?:ql)?:\/\//i.exec(text.trim())
    if (scheme === null) return yield* Result.fail(`expected a DSN such as ${example}`)
    const rest = text.trim().slice(scheme[0].length)
    if (control.test(rest)) {
      return yield* Result.fail("the DSN contains a control character, such as a line break")
    }
    const end = rest.search(/[/?#]/)
    const authority = end === -1 ? rest : rest.slice(0, end)
    const tail = end === -1 ? "" : rest.slice(end)
    // now the last @ ends the user-info, so no part of a password can be taken for the host, the
    // database or a parameter
    if (/[@#]/.test(tail)) return yield* malformed("unescaped @ or # after the host")
    if (/\s/.test(tail)) return yield* malformed("unescaped space after the host")

    const at = authority.lastIndexOf("@")
    const login = yield* readLogin(at === -1 ? "" : authority.slice(0, at))
    const address = yield* readAddress(authority.slice(at + 1))
    const question = tail.indexOf("?")
    const path = (question === -1 ? tail : tail.slice(0, question)).slice(1)
    if (path.includes("/")) return yield* malformed("unescaped / in the database name")
    const database = yield* decoded(path, "database name")
    const parameters = yield* readParameters(question === -1 ? "" : tail.slice(question + 1))
    const parameter = (name: Parameter) => given(parameters.get(name))

    const password = parameters.get("password") ?? login.password
    return {
      host: yield* readHost(parameter("host") ?? address.host ?? "localhost"),
      port: yield* readPort(parameter("port") ?? address.port ?? "5432"),
      user: parameter("user") ?? login.user,
      password: password === undefined ? undefined : Redacted.make(password),
      database: parameter("dbname") ?? given(database),
      sslmode: yield* readSslMode(parameter("sslmode")),
      sslrootcert: parameter("sslrootcert"),
      sslcert: parameter("sslcert"),
      sslkey: parameter("sslkey"),
      applicationName: parameter("application_name"),
      options: parameter("options"),
      connectTimeout: yield* readTimeout(parameter("connect_timeout")),
      ignored: [...parameters.keys()].filter((key) => !isParameter(key))
    }
  })

interface Login {
  readonly user: string | undefined
  readonly password?: string
}

/** `user:password`. An unescaped `@` is accepted, because the last `@` ends the user-info. */
const readLogin = (userInfo: string): Result.Result<Login, string> =>
  Result.gen(function* () {
    const colon = userInfo.indexOf(":")
    if (colon === -1) return { user: given(yield* decoded(userInfo, "user name")) }
    return {
      user: given(yield* decoded(userInfo.slice(0, colon), "user name")),
      password: yield* decoded(userInfo.slice(colon + 1), "password")
    }
  })

/** The parameters after the `?`. A plus sign is not decoded, as in libpq; a space is `%20`. */
const readParameters = (query: string) =>
  Result.gen(function* () {
    const parameters = new Map<string, string>()
    for (const pair of query === "" ? [] : query.split("&")) {
      const equals = pair.indexOf("=")
      const key = equals === -1 ? pair : pair.slice(0, equals)
      if (!isParameter(key) && !ignored.has(key)) {
        return yield* malformed(`unknown parameter; supported: ${supported.join(", ")}`)
      }
      // the key is a known name, so a message may contain it
      if (equals === -1) return yield* malformed(`parameter ${key} has no value`)
      if (parameters.has(key)) return yield* malformed(`duplicate parameter ${key}`)
      parameters.set(key, yield* decoded(pair.slice(equals + 1), `parameter ${key}`))
    }
    return parameters
  })

const multipleHosts = Result.fail("multiple hosts are not supported")

/** `host:port`, both optional. */
const readAddress = (address: string) =>
  Result.gen(function* () {
    if (address.includes(",")) return yield* multipleHosts
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(address)
    if (match === null) {
      return yield* malformed("invalid host (an IPv6 address must be in brackets)")
    }
    const host = yield* decoded(match[1] ?? match[2] ?? "", "host")
    if (match[1] !== undefined && !ipv6.test(host)) {
      return yield* malformed("the text in brackets is not an IPv6 address")
    }
    return { host: given(host), port: given(match[3]) }
  })

const readHost = (host: string): Result.Result<string, string> => {
  if (host.includes(",")) return multipleHosts
  return host.startsWith("/") || isHost(host)
    ? Result.succeed(host)
    : malformed("the host is not a host name, an IP address or a socket directory")
}

const readPort = (port: string): Result.Result<number, string> => {
  if (port.includes(",")) return multipleHosts
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  return isPort(number)
    ? Result.succeed(number)
    : malformed("the port is not a number from 1 to 65535")
}

const readSslMode = (mode: string | undefined): Result.Result<SslMode | undefined, string> => {
  const known = sslModes.find((one) => one === mode)
  return known === undefined && mode !== undefined
    ? Result.fail(`sslmode is not one of ${sslModes.join(", ")}`)
    : Result.succeed(known)
}

const readTimeout = (
  seconds: string | undefined
): Result.Result<Duration.Duration | undefined, string> => {
  if (seconds === undefined) return Result.succeed(undefined)
  if (!/^\d{1,6}$/.test(seconds)) {
    return Result.fail("connect_timeout is not a number of seconds")
  }
  return Result.succeed(Number(seconds) === 0 ? undefined : Duration.seconds(Number(seconds)))
}

const encode = (text: string): string => encodeURIComponent(text.toWellFormed())

const render = (
  dsn: Dsn,
  password: string,
  parameters: ReadonlyArray<readonly [string, string]>
) => {
  const isSocket = dsn.host.startsWith("/")
  const host = dsn.host.includes(":") ? bracketed(dsn.host.replace("%", "%25")) : encode(dsn.host)
  const all = isSocket ? [["host", dsn.host] as const, ...parameters] : parameters
  const userInfo = `${dsn.user === undefined ? "" : encode(dsn.user)}${password}`
  const query = all.map(([key, value]) => `${key}=${encode(value).replaceAll("%2F", "/")}`)
  return [
    "postgres://",
    userInfo === "" ? "" : `${userInfo}@`,
    isSocket ? "" : host,
    `:${dsn.port}`,
    `/${dsn.database === undefined ? "" : encode(dsn.database)}`,
    query.length === 0 ? "" : `?${query.join("&")}`
  ].join("")
}

/** The DSN without password and parameters, for people: `postgres://user@host:5432/database`. */
export const show = (dsn: Dsn): string => render(dsn, "", [])

/** The whole DSN with its password; {@link parse} reads it back. Not for logs. */
export const reveal = (dsn: Dsn): string => {
  const password = dsn.password === undefined ? "" : `:${encode(Redacted.value(dsn.password))}`
  const seconds = dsn.connectTimeout && String(Duration.toSeconds(dsn.connectTimeout))
  const parameters = [
    ["sslmode", dsn.sslmode],
    ["sslrootcert", dsn.sslrootcert],
    ["sslcert", dsn.sslcert],
    ["sslkey", dsn.sslkey],
    ["application_name", dsn.applicationName],
    ["options", dsn.options],
    ["connect_timeout", seconds]
  ].flatMap(([key, value]) =>
    key === undefined || value === undefined ? [] : [[key, value] as const]
  )
  return render(dsn, password, parameters)
}
