/**
 * Challenges and responses of Basic (RFC 7617) and Digest (RFC 7616) authentication.
 *
 * The client chooses the strongest challenge it supports: SHA-512-256 or SHA-256, then MD5, then Basic. Values are
 * text as on the wire, one character per byte; user name and password are plain text and are sent as UTF-8.
 */
import * as Redacted from "effect/Redacted"
import { withoutSlashes } from "../url/BaseUrl.ts"
import { bytesOf, type DigestAlgorithm, parseAlgorithm, renderCount, response } from "./Digest.ts"

export interface Credentials {
  readonly username: string
  readonly password: Redacted.Redacted
}

export interface BasicChallenge {
  readonly _tag: "Basic"
  readonly realm: string
}

export interface DigestChallenge {
  readonly _tag: "Digest"
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | undefined
  readonly algorithm: DigestAlgorithm
  /** The name in the challenge, which the response repeats; `undefined` if the challenge has none. */
  readonly algorithmName: string | undefined
  readonly qop: "auth" | undefined
  /** Only the nonce was out of date, not the password. Many cameras never send it. */
  readonly stale: boolean
}

export type Challenge = BasicChallenge | DigestChallenge

interface Scheme {
  readonly name: string
  readonly parameters: ReadonlyMap<string, string>
}

const space = /[\s,]*/y
const token = /[^\s,="]+/y
const quoted = /"((?:[^"\\]|\\.)*)(?:"|$)/sy
const equals = /\s*=\s*/y
const bare = /[^\s,]*/y

/**
 * Parses `Scheme name=value, name="va, lue", Scheme …`: the schemes in one header and their parameters.
 * A word without `=` starts a scheme; an unterminated quoted string ends with the header.
 */
const parseSchemes = (value: string): ReadonlyArray<Scheme> => {
  const schemes: Array<{ name: string; parameters: Map<string, string> }> = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(value)
    if (match !== null) at = pattern.lastIndex
    return match
  }
  for (;;) {
    take(space)
    if (at >= value.length) return schemes
    const word = take(token)?.[0]
    if (word === undefined) {
      // skip a stray quotation mark or equals sign
      if (take(quoted) === null) at++
      continue
    }
    if (take(equals) === null) {
      schemes.push({ name: word, parameters: new Map() })
      continue
    }
    const text = take(quoted)?.[1]?.replaceAll(/\\(.)/gs, "$1") ?? take(bare)?.[0] ?? ""
    const parameters = schemes.at(-1)?.parameters
    const name = word.toLowerCase()
    if (parameters !== undefined && !parameters.has(name)) parameters.set(name, text)
  }
}

const toChallenge = ({ name, parameters }: Scheme): Challenge | undefined => {
  const realm = parameters.get("realm") ?? ""
  switch (name.toLowerCase()) {
    case "basic":
      return { _tag: "Basic", realm }
    case "digest": {
      const nonce = parameters.get("nonce")
      const algorithmName = parameters.get("algorithm")
      const algorithm = parseAlgorithm(algorithmName)
      const offered = (parameters.get("qop") ?? "")
        .split(",")
        .map((qop) => qop.trim().toLowerCase())
        .filter((qop) => qop !== "")
      // `auth-int` alone is not supported
      const answerable = offered.length === 0 || offered.includes("auth")
      if (nonce === undefined || algorithm === undefined || !answerable) return undefined
      return {
        _tag: "Digest",
        realm,
        nonce,
        opaque: parameters.get("opaque"),
        algorithm,
        algorithmName: algorithmName === "" ? undefined : algorithmName,
        qop: offered.length === 0 ? undefined : "auth",
        stale: parameters.get("stale")?.toLowerCase() === "true"
      }
    }
    default:
      return undefined
  }
}

/** The supported challenges in all `WWW-Authenticate` headers, in order. */
export const parseChallenges = (values: ReadonlyArray<string>): ReadonlyArray<Challenge> =>
  values
    .flatMap(parseSchemes)
    .map(toChallenge)
    .filter((challenge) => challenge !== undefined)

/** The unsupported requirements of the challenges, for display: `the Digest algorithm SHA-1`. */
export const unsupportedIn = (values: ReadonlyArray<string>): string => {
  const required = values.flatMap(parseSchemes).map(({ name, parameters }) => {
    if (name.toLowerCase() !== "digest") return `the authentication scheme ${name}`
    const algorithm = parameters.get("algorithm")
    return parseAlgorithm(algorithm) === undefined
      ? `the Digest algorithm ${algorithm}`
      : `Digest with qop ${parameters.get("qop") ?? "missing"}`
  })
  return [...new Set(required)].join(" or ")
}

const strength = (challenge: Challenge): number =>
  challenge._tag === "Basic" ? 0 : challenge.algorithm.startsWith("SHA-") ? 2 : 1

/** The strongest challenge; the first among equals. */
export const choose = (challenges: ReadonlyArray<Challenge>): Challenge | undefined => {
  let best: Challenge | undefined
  for (const challenge of challenges) {
    if (best === undefined || strength(challenge) > strength(best)) best = challenge
  }
  return best
}

const quote = (value: string): string => `"${value.replaceAll(/["\\]/g, "\\$&")}"`

export interface AnswerOptions {
  readonly challenge: Challenge
  readonly credentials: Credentials
  readonly method: string
  /** The URL of the request line, verbatim. */
  readonly uri: string
  /** The count of requests with this nonce, from 1. */
  readonly nonceCount: number
  /** A random client nonce of letters and digits. */
  readonly cnonce: string
}

/** The value of the `Authorization` header. Treat as a secret. */
export const answer = (options: AnswerOptions): string => {
  const { challenge, cnonce, credentials, method, nonceCount, uri } = options
  const password = Redacted.value(credentials.password)
  if (challenge._tag === "Basic") {
    return `Basic ${Buffer.from(`${credentials.username}:${password}`, "utf8").toString("base64")}`
  }
  const { algorithm, nonce, qop, realm } = challenge
  const digest = response({
    algorithm,
    username: credentials.username,
    password,
    realm,
    nonce,
    method,
    uri,
    qop,
    nonceCount,
    cnonce
  })
  const fields = [
    `username=${quote(bytesOf(credentials.username))}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `response="${digest}"`
  ]
  if (challenge.algorithmName !== undefined) fields.push(`algorithm=${challenge.algorithmName}`)
  if (challenge.opaque !== undefined) fields.push(`opaque=${quote(challenge.opaque)}`)
  if (qop !== undefined) fields.push(`qop=${qop}`, `nc=${renderCount(nonceCount)}`)
  if (qop !== undefined || algorithm.endsWith("-sess")) fields.push(`cnonce=${quote(cnonce)}`)
  return `Digest ${fields.join(", ")}`
}

/** What a server accepts, in the order of its challenges. */
export type AuthenticationScheme = "sha512-256" | "sha256" | "md5" | "basic"

/** The values of a server's `WWW-Authenticate` headers. */
export const challenges = (options: {
  readonly schemes: ReadonlyArray<AuthenticationScheme>
  readonly realm: string
  readonly nonce: string
  readonly qop?: "auth" | undefined
  readonly opaque?: string | undefined
  readonly stale?: boolean | undefined
}): ReadonlyArray<string> =>
  options.schemes.map((scheme) => {
    if (scheme === "basic") return `Basic realm=${quote(options.realm)}`
    const fields = [`realm=${quote(options.realm)}`, `nonce=${quote(options.nonce)}`]
    // MD5 is not named, as old cameras do: clients must know the default
    if (scheme === "sha256") fields.push("algorithm=SHA-256")
    if (scheme === "sha512-256") fields.push("algorithm=SHA-512-256")
    if (options.qop !== undefined) fields.push(`qop="${options.qop}"`)
    if (options.opaque !== undefined) fields.push(`opaque=${quote(options.opaque)}`)
    if (options.stale === true) fields.push("stale=true")
    return `Digest ${fields.join(", ")}`
  })

/** A server's verdict on an `Authorization` header. */
export type NextStep =
  | "granted"
  /** Missing, or not of an accepted scheme. */
  | "missing"
  | "wrong"
  /** Correct, but for another nonce. */
  | "stale"

const sameText = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase()

/** The path and query of a URL, which some clients sign instead of the whole URL (gortsplib `verify.go`). */
const pathOf = (uri: string): string => uri.replace(/^[a-z]+:\/\/[^/?]*/i, "")

/**
 * Whether the signed URL matches the requested URL. In a SETUP some clients sign the URL of the stream
 * instead of the track (gortsplib `verify.go`).
 */
const sameUri = (signed: string, asked: string, method: string): boolean => {
  const path = withoutSlashes(pathOf(signed))
  const wanted = withoutSlashes(pathOf(asked))
  return path === wanted || (method === "SETUP" && wanted.startsWith(`${path}/`))
}

const schemeOf = (algorithm: DigestAlgorithm | undefined): AuthenticationScheme => {
  if (algorithm?.startsWith("SHA-512-256") === true) return "sha512-256"
  return algorithm?.startsWith("SHA-256") === true ? "sha256" : "md5"
}

/** Verifies the response to a challenge. */
export const verify = (options: {
  readonly authorization: string | undefined
  readonly schemes: ReadonlyArray<AuthenticationScheme>
  readonly credentials: Credentials
  readonly realm: string
  /** Whether the server issued the nonce and it is still valid. */
  readonly isCurrent: (nonce: string) => boolean
  readonly method: string
  readonly uri: string
}): NextStep => {
  const { authorization, credentials, method, realm, schemes, uri } = options
  const password = Redacted.value(credentials.password)
  if (authorization === undefined) return "missing"
  const basic = /^basic\s+(\S+)\s*$/i.exec(authorization)
  if (basic !== null) {
    if (!schemes.includes("basic")) return "missing"
    const given = Buffer.from(basic[1] ?? "", "base64").toString("utf8")
    return given === `${credentials.username}:${password}` ? "granted" : "wrong"
  }
  const digest = parseSchemes(authorization)[0]
  if (digest === undefined || !sameText(digest.name, "digest")) return "missing"
  const field = (name: string): string => digest.parameters.get(name) ?? ""
  const algorithm = parseAlgorithm(digest.parameters.get("algorithm"))
  const scheme = schemeOf(algorithm)
  if (algorithm === undefined || !schemes.includes(scheme)) return "missing"
  const count = Number.parseInt(field("nc"), 16)
  const expected = response({
    algorithm,
    username: credentials.username,
    password,
    realm,
    nonce: field("nonce"),
    method,
    uri: field("uri"),
    qop: field("qop") === "auth" ? "auth" : undefined,
    nonceCount: Number.isNaN(count) ? 0 : count,
    cnonce: field("cnonce")
  })
  // the response proves user name and password
  const isCorrect =
    field("realm") === realm &&
    sameText(field("response"), expected) &&
    sameUri(field("uri"), uri, method)
  if (!isCorrect) return "wrong"
  return options.isCurrent(field("nonce")) ? "granted" : "stale"
}
