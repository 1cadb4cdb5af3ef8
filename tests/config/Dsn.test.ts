import { Dsn, load } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Equal, Redacted, Result } from "effect"
import * as fc from "fast-check"
import { assertHidden, markedPassword, renderings } from "./Samples.ts"

const parse = (text: string) =>
  Result.getOrThrowWith(Dsn.parse(text), (problem) => new Error(problem))

const problem = (text: string) =>
  Result.match(Dsn.parse(text), { onFailure: (message) => message, onSuccess: () => "" })

const hostOf = (text: string) => parse(text).hosts[0]?.host

const passwordOf = (dsn: Dsn.Dsn) => dsn.password && Redacted.value(dsn.password)

describe("Dsn", () => {
  it("parses every part", () => {
    const dsn = parse(
      "postgresql://us%65r:p%40ss%2Fword@db.example:6432/cam%20eras?sslmode=verify-full&sslrootcert=/etc/ca.pem" +
        "&sslcert=/etc/c.pem&sslkey=/etc/k.pem&application_name=cctv&options=-c%20search_path%3Dv&connect_timeout=7"
    )
    assert.strictEqual(passwordOf(dsn), "p@ss/word")
    assert.deepStrictEqual(
      {
        ...dsn,
        password: undefined,
        connectTimeout: dsn.connectTimeout && Duration.toMillis(dsn.connectTimeout)
      },
      {
        hosts: [{ host: "db.example", port: 6432 }],
        targetSessionAttrs: undefined,
        user: "user",
        password: undefined,
        database: "cam eras",
        sslmode: "verify-full",
        sslrootcert: "/etc/ca.pem",
        sslcert: "/etc/c.pem",
        sslkey: "/etc/k.pem",
        applicationName: "cctv",
        options: "-c search_path=v",
        connectTimeout: 7000,
        ignored: []
      }
    )
  })

  it("defaults to localhost and port 5432", () => {
    const { database, hosts, sslmode, user } = parse("postgres://")
    assert.deepStrictEqual(
      [hosts, user, database, sslmode],
      [[{ host: "localhost", port: 5432 }], undefined, undefined, undefined]
    )
  })

  it("parses IPv6 hosts, socket directories and parameters for the parts", () => {
    assert.strictEqual(hostOf("postgres://u@[fe80::1%25eth0]:1/x"), "fe80::1%eth0")
    assert.strictEqual(hostOf("postgres://u@%2Fvar%2Frun/x"), "/var/run")
    const dsn = parse("postgres:///?host=/var/run/postgresql&user=u&password=a+b&dbname=x&port=7")
    assert.deepStrictEqual(
      [dsn.hosts, dsn.user, passwordOf(dsn), dsn.database],
      [[{ host: "/var/run/postgresql", port: 7 }], "u", "a+b", "x"]
    )
  })

  it("accepts an unescaped @ and : in the password, because the last @ ends it", () => {
    const dsn = parse("postgres://u:p@ss:word@h/x")
    assert.deepStrictEqual([dsn.user, passwordOf(dsn), dsn.hosts[0]?.host], ["u", "p@ss:word", "h"])
  })

  it("prefers a parameter to the part of the URL", () => {
    const dsn = parse("postgres://u:p@h:1/x?host=i&port=2&user=v&password=q&dbname=y")
    assert.strictEqual(Dsn.reveal(dsn), "postgres://v:q@i:2/y")
  })

  it("distinguishes an empty password from no password", () => {
    assert.strictEqual(passwordOf(parse("postgres://u:@h/x")), "")
    assert.strictEqual(passwordOf(parse("postgres://u@h/x")), undefined)
  })

  it("treats connect_timeout=0 as not set, and lists ignored parameters", () => {
    const dsn = parse("postgres://h/x?connect_timeout=0&channel_binding=require&keepalives=1")
    assert.strictEqual(dsn.connectTimeout, undefined)
    assert.deepStrictEqual(dsn.ignored, ["channel_binding", "keepalives"])
  })

  it.each([
    ["postgres://h/x?ssl=true", { sslmode: "require" }],
    ["postgresql+asyncpg://u@h/x?ssl=verify-full", { user: "u", sslmode: "verify-full" }],
    ["jdbc:postgresql://h:7/x?user=u&loginTimeout=5", { user: "u", ignored: ["loginTimeout"] }],
    ["postgres://h/x?ssl=1", { sslmode: "require" }],
    ["postgres://h/x?ssl=false", { sslmode: "disable" }],
    ["postgres://h/x?ssl=true&sslmode=verify-full", { sslmode: "verify-full" }],
    [
      "postgres://h/x?sslmode=no-verify&sslrootcert=/ca.pem",
      { sslmode: "require", sslrootcert: undefined }
    ],
    ["postgres://h/x?sslrootcert=system", { sslmode: "verify-full", sslrootcert: "system" }],
    ["postgres://h/x?sslaccept=strict", { sslmode: "verify-full" }],
    ["postgres://h/x?sslmode=require&uselibpqcompat=true", { sslmode: "require", ignored: [] }],
    ["postgres://h/x?schema=public&pgbouncer=true", { options: '-c search_path="public"' }],
    ["postgres://h/x?schema=my%20%22cams", { options: '-c search_path="my\\ ""cams"' }],
    ["postgres://h/x?currentSchema=a,b", { options: "-c search_path=a,b" }],
    ["postgres://h/x?options=-c%20a%3D1&schema=s", { options: '-c a=1 -c search_path="s"' }],
    ["postgres://h/x?ApplicationName=x", { applicationName: "x" }],
    [
      "postgres://h/x?connection_limit=5&pool_timeout=10&statement_timeout=5000",
      { ignored: ["connection_limit", "pool_timeout", "statement_timeout"] }
    ],
    ["postgres://h/x?tcpKeepAlive=true", { ignored: ["tcpKeepAlive"] }],
    ["host=db user=u dbname=x", { user: "u", database: "x", hosts: [{ host: "db", port: 5432 }] }],
    ["user = u  host = /run/pg", { user: "u", hosts: [{ host: "/run/pg", port: 5432 }] }],
    ["user='it\\'s u' application_name=''", { user: "it's u", applicationName: undefined }],
    ["user=a\\ b\\\\c", { user: "a b\\c" }],
    ["dbname=x ssl=true schema=s", { sslmode: "require", options: '-c search_path="s"' }]
  ] as ReadonlyArray<[string, Partial<Dsn.Dsn>]>)("understands %j", (text, parts) => {
    const dsn = parse(text)
    for (const [part, value] of Object.entries(parts)) {
      assert.deepStrictEqual(dsn[part as keyof Dsn.Dsn], value, part)
    }
  })

  it.each([
    "postgres://a:1,b:2,[::1]:3/x",
    "postgres:///x?host=a,b,::1&port=1,2,3",
    "host=a,b,::1 port=1,2,3"
  ])("parses the hosts of %j", (text) => {
    assert.deepStrictEqual(parse(text).hosts, [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
      { host: "::1", port: 3 }
    ])
  })

  it("uses one port for all hosts", () => {
    assert.deepStrictEqual(parse("postgres:///x?host=a,b&port=7").hosts, [
      { host: "a", port: 7 },
      { host: "b", port: 7 }
    ])
  })

  it("reads the password of keywords and values", () => {
    assert.strictEqual(passwordOf(parse("user=u password='a \\'b\\\\ c'")), "a 'b\\ c")
  })

  it.each([
    ["", "expected a DSN such as postgres://user:password@host:5432/database"],
    ["host=x password", "expected keyword=value"],
    ["host=x password='y", "expected keyword=value"],
    ["host=x password=y z", "expected keyword=value"],
    ["host=x password=y z=1", "unknown parameter; supported"],
    ["host=x sslmod=require password=y", "unknown parameter sslmod; supported"],
    ["host=x host=y", "duplicate parameter host"],
    ["hostaddr=10.0.0.1 user=u", "parameter hostaddr is not supported"],
    ["mysql://u:p@h/x", "expected a DSN such as"],
    ["Host=db;Username=u;Password=p", "unknown parameter Host; supported: host, port"],
    ["postgres:///x?host=h1,h2,h3&port=1,2", "the number of ports differs"],
    ["postgres://h1,h 2/x", "the host is not a host name"],
    [
      "postgres://h/x?target_session_attrs=master",
      "target_session_attrs is not one of any, read-w"
    ],
    [
      "postgres://h/x?sslmode=require&sslrootcert=system",
      "sslrootcert=system requires sslmode=ver"
    ],
    ["postgres://h/x?ssl=maybe", "ssl is not one of true, false, no-verify"],
    ["postgres://h/x?service=prod", "parameter service is not supported"],
    ["postgres://u:p?word&host", "unknown parameter; supported"],
    ["postgres://h/x?password=a&b=c", "unknown parameter; supported"],
    ["postgres://u:p/w@h/x", "unescaped @ or # after the host; in the user name and password"],
    ["postgres://u:p?w@h/x", "unescaped @ or # after the host; in the user name and password"],
    ["postgres://u:p#w@h/x", "unescaped @ or # after the host; in the user name and password"],
    ["postgres://u:1/w@h/x", "unescaped @ or # after the host; in the user name and password"],
    ["postgres://u:p%w@h/x", "the password contains an invalid percent-encoding; in the user"],
    ["postgres://u:%ff@h/x", "the password contains an invalid percent-encoding"],
    ["postgres://u:%00@h/x", "the password contains an invalid percent-encoding"],
    ["postgres://u%:p@h/x", "the user name contains an invalid percent-encoding"],
    ["postgres://u:p@h:x/x", "the port is not a number from 1 to 65535"],
    ["postgres://u:p@h:0/x", "the port is not a number from 1 to 65535"],
    ["postgres://u:p@h:65536/x", "the port is not a number from 1 to 65535"],
    ["postgres://u:p@::1/x", "invalid host (an IPv6 address must be in brackets)"],
    ["postgres://u:p@[x]/x", "the text in brackets is not an IPv6 address"],
    ["postgres://u:p@h h/x", "the host is not a host name"],
    ["postgres://u:p@h/x/y", "unescaped / in the database name"],
    ["postgres://u:p@h/x y", "unescaped space after the host"],
    ["postgres://u:p@h/x\ny", "the DSN contains a control character"],
    ["postgres://u:p@h/x?sslmode=on", "sslmode is not one of disable, allow, prefer, require"],
    ["postgres://u:p@h/x?sslmode", "parameter sslmode has no value"],
    ["postgres://u:p@h/x?user=a&user=b", "duplicate parameter user"],
    ["postgres://u:p@h/x?sslmod=require", "unknown parameter sslmod; supported: host, port, user"],
    ["postgres://u:p@h/x?connect_timeout=5s", "connect_timeout is not a number of seconds"]
  ])("rejects %j", (text, message) => {
    assert.isTrue(problem(text).startsWith(message), problem(text))
    assert.notInclude(problem(text), "\n")
  })

  const part = fc
    .string({ maxLength: 12, unit: "grapheme" })
    .filter((text) => text.isWellFormed() && !text.includes("\0"))
  const named = part.filter((text) => text !== "")
  const host = fc.record({
    host: fc.constantFrom(
      "localhost",
      "10.0.0.1",
      "::1",
      "fe80::1%eth0",
      "/var/run/postgresql",
      "db_1.example."
    ),
    port: fc.integer({ min: 1, max: 65_535 })
  })
  const dsn = fc.record({
    hosts: fc.array(host, { minLength: 1, maxLength: 3 }),
    targetSessionAttrs: fc.constantFrom(undefined, ...Dsn.targetSessionAttrs),
    user: fc.option(named, { nil: undefined }),
    password: fc.option(
      part.map((text) => Redacted.make(text)),
      { nil: undefined }
    ),
    database: fc.option(named, { nil: undefined }),
    sslmode: fc.constantFrom(undefined, ...Dsn.sslModes),
    sslrootcert: fc.option(named, { nil: undefined }),
    sslcert: fc.option(named, { nil: undefined }),
    sslkey: fc.option(named, { nil: undefined }),
    applicationName: fc.option(named, { nil: undefined }),
    options: fc.option(named, { nil: undefined }),
    connectTimeout: fc.option(fc.integer({ min: 1, max: 999_999 }).map(Duration.seconds), {
      nil: undefined
    }),
    ignored: fc.constant([])
  })

  it("parses what it reveals", () => {
    fc.assert(fc.property(dsn, (dsn) => assert.isTrue(Equal.equals(parse(Dsn.reveal(dsn)), dsn))))
  })

  it("shows user, host, port and database without the password", () => {
    assert.strictEqual(
      Dsn.show(parse("postgres://u:secret@h/x?sslmode=require")),
      "postgres://u@h:5432/x"
    )
    assert.strictEqual(Dsn.show(parse("postgres://[::1]")), "postgres://[::1]:5432/")
    assert.strictEqual(
      Dsn.show(parse("postgres://u@/x?host=/run/pg")),
      "postgres://u@:5432/x?host=/run/pg"
    )
  })

  const mostly = (good: ReadonlyArray<string>, bad: ReadonlyArray<string>) =>
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...good) },
      { weight: 1, arbitrary: fc.constantFrom(...bad) }
    )

  // the colon and the last @ are intact; everything else may be broken
  const broken = fc
    .tuple(
      mostly(
        ["postgres://", "POSTGRESQL://", " postgres://", "jdbc:postgresql://"],
        ["postgres:/", "http://", ""]
      ),
      mostly(["", "u", "user%40host"], ["u%", "a b"]),
      fc.constant(":"),
      fc.oneof(
        markedPassword,
        markedPassword.map(encodeURIComponent),
        markedPassword.map((text) => encodeURIComponent(text).slice(1))
      ),
      fc.constant("@"),
      mostly(["h", "", "[::1]", "10.0.0.1"], ["h,g", "h h", "[", "::1", "%zz", "h\n", "/x"]),
      mostly(["", ":5432", ":"], [":x", ":99999", ":1,2"]),
      mostly(["", "/", "/x"], ["/x/y", "/x%", "/x y", "x", "/x@y", "#f"]),
      mostly(
        ["", "?", "?sslmode=require"],
        ["?sslmode=x", "?x=y", "?port=0", "?host=a,b", "?connect_timeout=x", "?host=%", "?a@b"]
      )
    )
    .map((parts) => parts.join(""))

  it("never prints a password, in a message or in a parsed DSN", () => {
    let read = 0
    fc.assert(
      fc.property(broken, (text) => {
        const result = Dsn.parse(text)
        if (Result.isSuccess(result)) {
          read++
          assertHidden(Dsn.show(result.success))
        }
        assertHidden(renderings(result))
        for (const from of [{ env: { PG_DSN: text } }, { flags: { pg_dsn: text } }]) {
          assertHidden(renderings(load(from)))
          const failure = Result.flip(load(from))
          if (Result.isSuccess(failure)) assertHidden(renderings(failure.success))
        }
      }),
      { numRuns: 500 }
    )
    assert.isAbove(read, 5, "both outcomes occur")
  })

  it("never prints a password of keywords and values", () => {
    fc.assert(
      fc.property(
        markedPassword,
        fc.constantFrom("bare", "quoted", "unclosed"),
        fc.constantFrom("", " port=0", " sslmode=x", " x=y", " host", " user='", " host=h host=i"),
        fc.constantFrom("host=h password=", "user=u password =  ", "PASSWORD="),
        (password, how, after, before) => {
          const quoted = `'${password.replaceAll(/['\\]/g, "\\$&")}'`
          const value = how === "bare" ? password : how === "quoted" ? quoted : quoted.slice(0, -1)
          const text = `${before}${value}${after}`
          const result = Dsn.parse(text)
          assertHidden(renderings(result))
          if (Result.isSuccess(result)) assertHidden(Dsn.show(result.success))
          assertHidden(renderings(load({ env: { PG_DSN: text } })))
        }
      ),
      { numRuns: 500 }
    )
  })

  it("never prints a password of the query", () => {
    fc.assert(
      fc.property(
        markedPassword,
        fc.constantFrom("", "%zz", "&sslmode=x", "&port=0"),
        (password, rest) => {
          const result = Dsn.parse(`postgres://h/x?password=${encodeURIComponent(password)}${rest}`)
          assertHidden(renderings(result))
          if (Result.isSuccess(result)) {
            assert.strictEqual(passwordOf(result.success), password)
            assertHidden(Dsn.show(result.success))
          }
        }
      )
    )
  })
})
