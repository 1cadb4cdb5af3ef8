/**
 * The address of a PostgreSQL database as one text, such as
 * `postgres://user:password@host:5432/database?sslmode=require` (libpq, "Connection URIs").
 *
 * It is read here and not by the driver, so that no error of the driver can carry the text. No message
 * of this module repeats any part of what it was given.
 */
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** How the connection is encrypted; the names are libpq's. */
export const SslMode = Schema.Literals([
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full"
])
export type SslMode = typeof SslMode.Type

/** A DSN in its parts. It prints without the password; {@link reveal} is the way to the whole text. */
export const Dsn = Schema.Struct({
  /** A name, an address (IPv6 without brackets), or the directory of a Unix socket. Default `localhost`. */
  host: Schema.String,
  /** Default 5432. */
  port: Schema.Finite,
  user: Schema.UndefinedOr(Schema.String),
  password: Schema.UndefinedOr(Schema.Redacted(Schema.String)),
  database: Schema.UndefinedOr(Schema.String),
  /** `undefined`: the DSN does not say. */
  sslmode: Schema.UndefinedOr(SslMode),
  /** Files in PEM form: the authority's certificate, our certificate, our key. */
  sslrootcert: Schema.UndefinedOr(Schema.String),
  sslcert: Schema.UndefinedOr(Schema.String),
  sslkey: Schema.UndefinedOr(Schema.String),
  applicationName: Schema.UndefinedOr(Schema.String),
  /** Options for the server's session, such as `-c search_path=video`. */
  options: Schema.UndefinedOr(Schema.String),
  /** From `connect_timeout`; 0, libpq's "for ever", counts as not given. */
  connectTimeout: Schema.UndefinedOr(Schema.Duration),
  /** Parameters that libpq knows and that change nothing here, by name. */
  ignored: Schema.Array(Schema.String)
})
export type Dsn = typeof Dsn.Type

const form = "postgres://user:password@host:5432/database"
const hint = "; in a user name or password / # ? % @ are written %2F %23 %3F %25 %40"

const harmless: ReadonlySet<string> = new Set([
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

const understood = [
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
type Parameter = (typeof understood)[number]

const isParameter = (name: string): name is Parameter =>
  (understood as ReadonlyArray<string>).includes(name)

const name =
  /^(?=.{1,253}$)[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?(?:\.[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?)*\.?$/u
const ipv6 = /^[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:%[0-9A-Za-z._~-]+)?$/
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f]/

/** The plain text of a part; `undefined` for a `%` that begins no byte, for bytes that are not UTF-8, and for NUL. */
const decode = (text: string): string | undefined => {
  try {
    const plain = decodeURIComponent(text)
    return plain.includes("\0") ? undefined : plain
  } catch {
    return undefined
  }
}

const malformed = (what: string) => Result.fail(`${what}${hint}`)

const decoded = (text: string, where: string): Result.Result<string, string> => {
  const plain = decode(text)
  return plain === undefined
    ? malformed(`the ${where} holds a % that begins no encoded character`)
    : Result.succeed(plain)
}

const given = (value: string | undefined) => (value === "" ? undefined : value)

/** Reads a DSN, or says in one line what is wrong with it, in words that hold nothing of it. */
export const parse = (text: string): Result.Result<Dsn, string> =>
  Result.gen(function* () {
    const scheme = /^postgres(?:ql)?:\/\//i.exec(text.trim())
    if (scheme === null) return yield* Result.fail(`expected a DSN such as ${form}`)
    const rest = text.trim().slice(scheme[0].length)
    if (control.test(rest)) {
      return yield* Result.fail("the DSN holds a control character, such as a line break")
    }
    const end = rest.search(/[/?#]/)
    const authority = end === -1 ? rest : rest.slice(0, end)
    const tail = end === -1 ? "" : rest.slice(end)
    // With this the last @ of all ends the user-info. So the user-info is whole, and no piece of a
    // password can pass for the host, the database or a parameter.
    if (/[@#]/.test(tail)) return yield* malformed("a raw @ or # stands after the host")
    if (/\s/.test(tail)) return yield* malformed("a raw space stands after the host")

    const at = authority.lastIndexOf("@")
    const login = yield* readLogin(at === -1 ? "" : authority.slice(0, at))
    const place = yield* readPlace(authority.slice(at + 1))
    const question = tail.indexOf("?")
    const path = (question === -1 ? tail : tail.slice(0, question)).slice(1)
    if (path.includes("/")) return yield* malformed("a raw / stands in the database's name")
    const database = yield* decoded(path, "database's name")
    const parameters = yield* readParameters(question === -1 ? "" : tail.slice(question + 1))
    const parameter = (name: Parameter) => given(parameters.get(name))

    const password = parameters.get("password") ?? login.password
    return {
      host: yield* readHost(parameter("host") ?? place.host ?? "localhost"),
      port: yield* readPort(parameter("port") ?? place.port ?? "5432"),
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

/** `user:password`. A raw `@` is understood, since the last one ends it. */
const readLogin = (userInfo: string): Result.Result<Login, string> =>
  Result.gen(function* () {
    const colon = userInfo.indexOf(":")
    if (colon === -1) return { user: given(yield* decoded(userInfo, "user name")) }
    return {
      user: given(yield* decoded(userInfo.slice(0, colon), "user name")),
      password: yield* decoded(userInfo.slice(colon + 1), "password")
    }
  })

/** The parameters after the `?`. A plus sign stands for itself, as in libpq; a space is `%20`. */
const readParameters = (query: string) =>
  Result.gen(function* () {
    const parameters = new Map<string, string>()
    for (const pair of query === "" ? [] : query.split("&")) {
      const equals = pair.indexOf("=")
      const key = equals === -1 ? pair : pair.slice(0, equals)
      if (!isParameter(key) && !harmless.has(key)) {
        return yield* malformed(`after the ? only these are supported: ${understood.join(", ")}`)
      }
      // from here on the key is one of ours, so a message may name it
      if (equals === -1) return yield* malformed(`the parameter ${key} has no value`)
      if (parameters.has(key)) return yield* malformed(`the parameter ${key} stands twice`)
      parameters.set(key, yield* decoded(pair.slice(equals + 1), `parameter ${key}`))
    }
    return parameters
  })

const severalHosts = Result.fail("several hosts in one DSN are not supported; name one")

/** `host:port`, both optional. */
const readPlace = (place: string) =>
  Result.gen(function* () {
    if (place.includes(",")) return yield* severalHosts
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/.exec(place)
    if (match === null) {
      return yield* malformed("the host is not valid (an IPv6 address needs brackets)")
    }
    const host = yield* decoded(match[1] ?? match[2] ?? "", "host")
    if (match[1] !== undefined && !ipv6.test(host)) {
      return yield* malformed("the brackets hold no IPv6 address")
    }
    return { host: given(host), port: given(match[3]) }
  })

const readHost = (host: string): Result.Result<string, string> => {
  if (host.includes(",")) return severalHosts
  return host.startsWith("/") || name.test(host) || ipv6.test(host)
    ? Result.succeed(host)
    : malformed("the host is not a valid name, address or socket directory")
}

const readPort = (port: string): Result.Result<number, string> => {
  if (port.includes(",")) return severalHosts
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  return number >= 1 && number <= 65_535
    ? Result.succeed(number)
    : malformed("the port is not a whole number from 1 to 65535")
}

const readSslMode = (mode: string | undefined): Result.Result<SslMode | undefined, string> => {
  const known = SslMode.literals.find((literal) => literal === mode)
  return known === undefined && mode !== undefined
    ? Result.fail(`sslmode is none of ${SslMode.literals.join(", ")}`)
    : Result.succeed(known)
}

const readTimeout = (
  seconds: string | undefined
): Result.Result<Duration.Duration | undefined, string> => {
  if (seconds === undefined) return Result.succeed(undefined)
  if (!/^\d{1,6}$/.test(seconds)) {
    return Result.fail("connect_timeout is not a whole number of seconds")
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
  const host = dsn.host.includes(":") ? `[${dsn.host.replace("%", "%25")}]` : encode(dsn.host)
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

/** The DSN for people, without the password: `postgres://user@host:5432/database`. */
export const show = (dsn: Dsn): string => render(dsn, "", [])

/** The whole DSN with its password, in the form that {@link parse} reads. Never for people. */
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
