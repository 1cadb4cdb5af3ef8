/**
 * Decides which requests reach the routes. Pure, except for the count of wrong tokens.
 *
 * Any web page in an operator's browser can send requests to 127.0.0.1, so listening on loopback is no protection:
 * the Host header and the origin are checked first.
 */
import { isLoopback, withoutBrackets } from "@restream/config"
import { createHash, createHmac, timingSafeEqual } from "node:crypto"

/** The parts of a request that the guard reads. */
export interface GuardedRequest {
  readonly method: string
  /** The path without the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly cookies: Readonly<Record<string, string | undefined>>
  /** The client's address. */
  readonly remoteAddress: string
  /** The address of this machine at which the client connected. */
  readonly localAddress: string
}

/** Why a request is refused. */
export interface Refusal {
  readonly status: 401 | 403 | 413 | 421 | 429
  readonly message: string
}

export interface GuardOptions {
  /** Host names besides loopback and the address of the connection. */
  readonly allowedHosts: ReadonlyArray<string>
  /** `undefined`: no token is required. */
  readonly token: string | undefined
}

/** Wrong tokens in a minute from one address; more are not compared. */
const maxWrongTokens = 5
const windowMs = 60_000
/** The maximum number of remembered addresses. */
const maxAddresses = 10_000
const maxBodyBytes = 8 * 1024
/** An SDP offer lists every codec of the browser. */
const maxSdpBytes = 64 * 1024
const takesSdp = /^\/api\/cameras\/[^/]+\/whep(?:\/|$)/

/** Whether a request needs no token: the health checks, and the files of the sign-in page. */
const isPublic = (method: string, path: string): boolean =>
  path.startsWith("/health/") ||
  (method === "POST"
    ? path === "/api/session"
    : /^\/(?:index\.html|favicon\.[a-z]+|assets\/.*)?$/.test(path))

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Compares in constant time. */
const isEqual = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

const hostnameOf = (authority: string | undefined): string | undefined => {
  const match = /^(\[[^\]]+\]|[^:@/\s]+)(?::\d{1,5})?$/.exec(authority ?? "")
  return match?.[1] === undefined ? undefined : withoutBrackets(match[1]).toLowerCase()
}

export class Guard {
  readonly #allowedHosts: ReadonlySet<string>
  readonly #token: string | undefined
  readonly #session: { readonly name: string; readonly value: string } | undefined
  readonly #wrong = new Map<string, { count: number; readonly since: number }>()

  constructor({ allowedHosts, token }: GuardOptions) {
    this.#allowedHosts = new Set(allowedHosts.map((host) => withoutBrackets(host).toLowerCase()))
    this.#token = token
    if (token === undefined) return
    // Cookies are not bound to a port: other servers of this host receive the cookie, so it is not the token.
    const derive = (purpose: string) => createHmac("sha256", token).update(purpose).digest("hex")
    this.#session = {
      name: `restream_${derive("cookie name").slice(0, 8)}`,
      value: derive("session")
    }
  }

  /** Whether clients must present a token. */
  get requiresToken(): boolean {
    return this.#token !== undefined
  }

  /** The cookie of a client that has presented the token. */
  get session(): { readonly name: string; readonly value: string } | undefined {
    return this.#session
  }

  /** Returns `undefined` if the request is allowed. @param nowMs by a monotonic clock. */
  check(request: GuardedRequest, nowMs: number): Refusal | undefined {
    return (
      this.#checkHost(request) ??
      this.#checkOrigin(request) ??
      checkLength(request) ??
      this.#checkAccess(request, nowMs)
    )
  }

  /** Compares a token; a wrong one counts against the address. */
  checkToken(token: string, remoteAddress: string, nowMs: number): Refusal | undefined {
    if (this.#token === undefined) return undefined
    const known = this.#wrong.get(remoteAddress)
    const recent = known !== undefined && nowMs - known.since < windowMs ? known : undefined
    if (recent !== undefined && recent.count >= maxWrongTokens) {
      return { status: 429, message: "too many wrong tokens; try again in a minute" }
    }
    if (isEqual(token, this.#token)) {
      this.#wrong.delete(remoteAddress)
      return undefined
    }
    if (recent === undefined) {
      if (this.#wrong.size >= maxAddresses) {
        const [oldest] = this.#wrong.keys()
        if (oldest !== undefined) this.#wrong.delete(oldest)
      }
      this.#wrong.set(remoteAddress, { count: 1, since: nowMs })
    } else recent.count++
    return { status: 401, message: "wrong token" }
  }

  #checkHost({ headers, localAddress }: GuardedRequest): Refusal | undefined {
    const name = hostnameOf(headers["host"])
    const isOurs =
      name !== undefined &&
      (isLoopback(name) ||
        name === localAddress.replace(/^::ffff:/i, "").toLowerCase() ||
        this.#allowedHosts.has(name))
    return isOurs
      ? undefined
      : {
          status: 421,
          message: `unknown host ${JSON.stringify(headers["host"] ?? "")}; if it is a name of this server, add it to http.allowedHosts`
        }
  }

  #checkOrigin({ headers, method }: GuardedRequest): Refusal | undefined {
    if (method === "GET" || method === "HEAD") return undefined
    const site = headers["sec-fetch-site"]
    const origin = headers["origin"]
    const isSameSite = site === undefined || site === "same-origin" || site === "none"
    const isSameOrigin =
      origin === undefined ||
      (URL.canParse(origin) && new URL(origin).host === headers["host"]?.toLowerCase())
    return isSameSite && isSameOrigin
      ? undefined
      : { status: 403, message: "requests from other sites are not allowed" }
  }

  #checkAccess(
    { cookies, headers, method, path, remoteAddress }: GuardedRequest,
    nowMs: number
  ): Refusal | undefined {
    if (this.#session === undefined || isPublic(method, path)) return undefined
    const bearer = /^bearer +(.+)$/i.exec(headers["authorization"] ?? "")?.[1]
    if (bearer !== undefined) return this.checkToken(bearer, remoteAddress, nowMs)
    const cookie = cookies[this.#session.name]
    if (cookie !== undefined && isEqual(cookie, this.#session.value)) return undefined
    return { status: 401, message: "a token is required" }
  }
}

const checkLength = ({ headers, path }: GuardedRequest): Refusal | undefined => {
  const limit = takesSdp.test(path) ? maxSdpBytes : maxBodyBytes
  return Number(headers["content-length"] ?? 0) > limit
    ? { status: 413, message: `the body exceeds ${limit} bytes` }
    : undefined
}
