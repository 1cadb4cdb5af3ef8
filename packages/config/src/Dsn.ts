/**
 * The address of a PostgreSQL database: a URL, such as
 * `postgres://user:password@host:5432/database?sslmode=require` (libpq, "Connection URIs"), or libpq's keywords
 * and values, such as `host=db user=restream dbname=cameras`.
 *
 * It is parsed here and not by the driver, whose errors may contain the URL. No message of this module
 * repeats a part of its input, except the name of a parameter.
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

/** The required role of the server if there are several hosts, by libpq's names. */
export const targetSessionAttrs = [
  "any",
  "read-write",
  "read-only",
  "primary",
  "standby",
  "prefer-standby"
] as const
export type TargetSessionAttrs = (typeof targetSessionAttrs)[number]

export interface DsnHost {
  /** A name, an address (IPv6 without brackets), or the directory of a Unix socket. Default `localhost`. */
  readonly host: string
  /** Default 5432. */
  readonly port: number
}

/** The parts of a DSN. They print without the password; {@link reveal} returns the whole URL. */
export interface Dsn {
  /** At least one, in order of preference. */
  readonly hosts: ReadonlyArray<DsnHost>
  readonly targetSessionAttrs: TargetSessionAttrs | undefined
  readonly user: string | undefined
  readonly password: Redacted.Redacted | undefined
  readonly database: string | undefined
  readonly sslmode: SslMode | undefined
  /**
   * PEM files: the certificate of the authority, or `system` for the authorities of the operating system; the
   * client certificate, its key.
   */
  readonly sslrootcert: string | undefined
  readonly sslcert: string | undefined
  readonly sslkey: string | undefined
  readonly applicationName: string | undefined
  /** Options for the session on the server, such as `-c search_path=video`. */
  readonly options: string | undefined
  /** From `connect_timeout`; 0, libpq's "wait indefinitely", counts as not set. */
  readonly connectTimeout: Duration.Duration | undefined
  /** The names of parameters of libpq and other programs that have no effect here. */
  readonly ignored: ReadonlyArray<string>
}

const example = "postgres://user:password@host:5432/database"
const hint = "; in the user name and password, write / # ? % @ as %2F %23 %3F %25 %40"

/** Parameters of libpq and other programs that have no effect here, in lower case. */
const ignored: ReadonlySet<string> = new Set(
  `
  channel_binding client_encoding fallback_application_name gssdelegation gssencmode gsslib keepalives
  keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts max_protocol_version
  min_protocol_version ssl_max_protocol_version ssl_min_protocol_version sslcertmode sslcompression
  sslkeylogfile sslnegotiation sslsni tcp_user_timeout

  command_timeout connection_limit connectionlimit connecttimeout default_query_exec_mode
  description_cache_capacity idle_in_transaction_session_timeout idle_timeout idletimeout lock_timeout
  logintimeout max max_conns max_lifetime min pool pool_health_check_period pool_max_conn_idle_time
  pool_max_conn_lifetime pool_max_conn_lifetime_jitter pool_max_conns pool_min_conns pool_size pool_timeout
  pooling poolsize prepared_statement_cache_size prepared_statements preparethreshold query_timeout
  socket_timeout sockettimeout sslfactory sslidentity statement_cache_capacity statement_cache_mode
  statement_cache_size statement_timeout tcpkeepalive timezone
  `
    .trim()
    .split(/\s+/)
)

/** Parameters that are not supported, and must not be ignored. */
const refused: ReadonlySet<string> = new Set([
  "hostaddr",
  "passfile",
  "replication",
  "require_auth",
  "requirepeer",
  "service",
  "servicefile",
  "sslcrl",
  "sslcrldir",
  "sslpassword"
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
  "connect_timeout",
  "target_session_attrs"
] as const
type Parameter = (typeof supported)[number]

/** Names of supported parameters in other programs: Prisma, JDBC, node-postgres, pgx, SQLAlchemy. */
const translated = [
  "ssl",
  "requiressl",
  "sslaccept",
  "schema",
  "currentSchema",
  "search_path",
  "ApplicationName",
  // no effect, because restream behaves so: no prepared statements, and sslmode as in libpq
  "pgbouncer",
  "uselibpqcompat"
] as const
type Translated = (typeof translated)[number]

const known: ReadonlySet<string> = new Set([...supported, ...translated])

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

/** The content of a DSN, in either form, before validation. */
interface Parts {
  readonly login: Login
  readonly hosts: ReadonlyArray<string | undefined>
  readonly ports: ReadonlyArray<string | undefined>
  readonly database: string | undefined
  readonly parameters: ReadonlyMap<string, string>
}

/** Parses a DSN, or fails with one line that does not quote it. */
export const parse = (text: string): Result.Result<Dsn, string> =>
  Result.gen(function* () {
    if (control.test(text.trim())) {
      return yield* Result.fail("the DSN contains a control character, such as a line break")
    }
    const { database, login, parameters, ...address } = yield* readParts(text.trim())
    const parameter = (name: Parameter | Translated) => given(parameters.get(name))

    const password = parameters.get("password") ?? login.password
    const hosts = parameter("host")?.split(",").map(given) ?? address.hosts
    const ports = parameter("port")?.split(",").map(given) ?? address.ports
    if (ports.length !== 1 && ports.length !== hosts.length) {
      return yield* Result.fail("the number of ports differs from the number of hosts")
    }
    const tls = yield* readTls(parameter)
    const options = [parameter("options"), searchPath(parameter)].filter(
      (part) => part !== undefined
    )
    return {
      hosts: yield* Result.all(
        hosts.map((host, index) =>
          Result.all({
            host: readHost(host ?? "localhost"),
            port: readPort((ports.length === 1 ? ports[0] : ports[index]) ?? "5432")
          })
        )
      ),
      targetSessionAttrs: yield* readOneOf(
        "target_session_attrs",
        targetSessionAttrs,
        parameter("target_session_attrs")
      ),
      user: parameter("user") ?? login.user,
      password: password === undefined ? undefined : Redacted.make(password),
      database: parameter("dbname") ?? database,
      ...tls,
      sslcert: parameter("sslcert"),
      sslkey: parameter("sslkey"),
      applicationName: parameter("application_name") ?? parameter("ApplicationName"),
      options: options.length === 0 ? undefined : options.join(" "),
      connectTimeout: yield* readTimeout(parameter("connect_timeout")),
      ignored: [...parameters.keys()].filter((key) => !known.has(key))
    }
  })

/** Also of JDBC, and with the driver of SQLAlchemy: `postgresql+asyncpg://`. */
const urlScheme = /^(?:jdbc:)?postgres(?:ql)?(?:\+\w+)?:\/\//i

const readParts = (text: string): Result.Result<Parts, string> => {
  const scheme = urlScheme.exec(text)
  if (scheme !== null) return readUrl(text.slice(scheme[0].length))
  return /^[a-z_]+\s*=/i.test(text)
    ? readKeywords(text)
    : Result.fail(`expected a DSN such as ${example}`)
}

const readUrl = (rest: string): Result.Result<Parts, string> =>
  Result.gen(function* () {
    const end = rest.search(/[/?#]/)
    const authority = end === -1 ? rest : rest.slice(0, end)
    const tail = end === -1 ? "" : rest.slice(end)
    // after this check the last @ ends the user-info, so no part of a password is mistaken for the host, the
    // database or a parameter
    if (/[@#]/.test(tail)) return yield* malformed("unescaped @ or # after the host")
    if (/\s/.test(tail)) return yield* malformed("unescaped space after the host")

    const at = authority.lastIndexOf("@")
    const login = yield* readLogin(at === -1 ? "" : authority.slice(0, at))
    const addresses = yield* Result.all(
      authority
        .slice(at + 1)
        .split(",")
        .map(readAddress)
    )
    const question = tail.indexOf("?")
    const path = (question === -1 ? tail : tail.slice(0, question)).slice(1)
    if (path.includes("/")) return yield* malformed("unescaped / in the database name")
    const ports = addresses.map(({ port }) => port)
    // without an @, a colon may begin a password instead of a port
    const mayName = at !== -1 || ports.every((port) => port === undefined || /^\d+$/.test(port))
    return {
      login,
      hosts: addresses.map(({ host }) => host),
      ports,
      database: given(yield* decoded(path, "database name")),
      parameters: yield* readParameters(question === -1 ? "" : tail.slice(question + 1), mayName)
    }
  })

/** `keyword = value`, with a value in single quotes if it has spaces (libpq, "Keyword/Value Connection Strings"). */
const readKeywords = (text: string): Result.Result<Parts, string> =>
  Result.gen(function* () {
    const parameters = new Map<string, string>()
    const pair = /\s*([^\s=]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/y
    while (pair.lastIndex < text.length) {
      const match = pair.exec(text)
      if (match === null) {
        return yield* Result.fail(
          "expected keyword=value; a value with spaces or quotes is written as 'it\\'s a value'"
        )
      }
      const key = match[1] ?? ""
      yield* checkName(key, parameters, true)
      parameters.set(key, (match[2] ?? match[3] ?? "").replaceAll(/\\(.)/g, "$1"))
    }
    return {
      login: { user: undefined },
      hosts: [undefined],
      ports: [undefined],
      database: undefined,
      parameters
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
const readParameters = (query: string, mayName: boolean) =>
  Result.gen(function* () {
    const parameters = new Map<string, string>()
    for (const pair of query === "" ? [] : query.split("&")) {
      const equals = pair.indexOf("=")
      const key = equals === -1 ? pair : pair.slice(0, equals)
      yield* checkName(key, parameters, mayName)
      // the key is a known name, so a message may contain it
      if (equals === -1) return yield* malformed(`parameter ${key} has no value`)
      parameters.set(key, yield* decoded(pair.slice(equals + 1), `parameter ${key}`))
    }
    return parameters
  })

/**
 * Fails for a name that is not known, and for a second value.
 *
 * @param mayName whether the message may contain a name that is not known: it could be a part of a password.
 */
const checkName = (
  key: string,
  before: ReadonlyMap<string, string>,
  mayName: boolean
): Result.Result<void, string> => {
  if (refused.has(key)) return Result.fail(`parameter ${key} is not supported`)
  if (!known.has(key) && !ignored.has(key.toLowerCase())) {
    const isName = mayName && !before.has("password") && /^[a-z][\w.-]{0,40}$/i.test(key)
    return malformed(
      `unknown parameter${isName ? ` ${key}` : ""}; supported: ${supported.join(", ")}`
    )
  }
  return before.has(key) ? malformed(`duplicate parameter ${key}`) : Result.void
}

/** `host:port`, both optional. */
const readAddress = (address: string) =>
  Result.gen(function* () {
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

const readHost = (host: string): Result.Result<string, string> =>
  host.startsWith("/") || isHost(host)
    ? Result.succeed(host)
    : malformed("the host is not a host name, an IP address or a socket directory")

const readPort = (port: string): Result.Result<number, string> => {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0
  return isPort(number)
    ? Result.succeed(number)
    : malformed("the port is not a number from 1 to 65535")
}

const readOneOf = <A extends string>(
  name: string,
  values: ReadonlyArray<A>,
  value: string | undefined
): Result.Result<A | undefined, string> => {
  const one = values.find((each) => each === value)
  return one === undefined && value !== undefined
    ? Result.fail(`${name} is not one of ${values.join(", ")}`)
    : Result.succeed(one)
}

type Read = (name: Parameter | Translated) => string | undefined

/** Encryption, also by the names of other programs. */
const readTls = (parameter: Read): Result.Result<Pick<Dsn, "sslmode" | "sslrootcert">, string> =>
  Result.gen(function* () {
    const sslrootcert = parameter("sslrootcert")
    const mode = parameter("sslmode") ?? (yield* readSsl(parameter))
    // of node-postgres: encrypted, and never verified
    if (mode === "no-verify") return { sslmode: "require", sslrootcert: undefined }
    const sslmode = yield* readOneOf("sslmode", sslModes, mode)
    if (sslrootcert === "system") {
      // as libpq: any authority of the system could sign for any host
      return sslmode === undefined || sslmode === "verify-full"
        ? { sslmode: "verify-full", sslrootcert }
        : yield* Result.fail("sslrootcert=system requires sslmode=verify-full")
    }
    const isStrict = parameter("sslaccept") === "strict" && sslmode !== "disable"
    return { sslmode: isStrict ? "verify-full" : sslmode, sslrootcert }
  })

/** `ssl=true`, which libpq reads as `sslmode=require`; libpq's older `requiressl=1`; asyncpg's `ssl=require`. */
const readSsl = (parameter: Read): Result.Result<string | undefined, string> => {
  const value = parameter("ssl")?.toLowerCase() ?? parameter("requiressl")
  const mode = sslModes.find((one) => one === value)
  if (mode !== undefined) return Result.succeed(mode)
  switch (value) {
    case undefined:
      return Result.succeed(undefined)
    case "true":
    case "1":
      return Result.succeed("require")
    case "false":
    case "0":
      return Result.succeed("disable")
    case "no-verify":
      return Result.succeed("no-verify")
    default:
      return Result.fail("ssl is not one of true, false, no-verify")
  }
}

/** Prisma's `schema` is one name; JDBC's `currentSchema` and pgx's `search_path` are lists, as PostgreSQL reads them. */
const searchPath = (parameter: Read): string | undefined => {
  const schema = parameter("schema")
  const path =
    schema === undefined
      ? (parameter("currentSchema") ?? parameter("search_path"))
      : `"${schema.replaceAll('"', '""')}"`
  // PostgreSQL splits the options at spaces
  return path === undefined ? undefined : `-c search_path=${path.replaceAll(/[\s\\]/g, "\\$&")}`
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
  const [first] = dsn.hosts
  const list = (part: keyof DsnHost) => dsn.hosts.map((each) => each[part]).join()
  const hasSocket = dsn.hosts.some(({ host }) => host.startsWith("/"))
  const userInfo = `${dsn.user === undefined ? "" : encode(dsn.user)}${password}`
  const authority = hasSocket
    ? `:${first?.port}`
    : dsn.hosts.map(({ host, port }) => `${renderHost(host)}:${port}`).join()
  const ports = dsn.hosts.length > 1 ? [["port", list("port")] as const] : []
  const all = [...(hasSocket ? [["host", list("host")] as const, ...ports] : []), ...parameters]
  const query = all.map(
    ([key, value]) => `${key}=${encode(value).replaceAll("%2F", "/").replaceAll("%2C", ",")}`
  )
  return [
    "postgres://",
    userInfo === "" ? "" : `${userInfo}@`,
    authority,
    `/${dsn.database === undefined ? "" : encode(dsn.database)}`,
    query.length === 0 ? "" : `?${query.join("&")}`
  ].join("")
}

const renderHost = (host: string): string =>
  host.includes(":") ? bracketed(host.replace("%", "%25")) : encode(host)

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
    ["connect_timeout", seconds],
    ["target_session_attrs", dsn.targetSessionAttrs]
  ].flatMap(([key, value]) =>
    key === undefined || value === undefined ? [] : [[key, value] as const]
  )
  return render(dsn, password, parameters)
}
