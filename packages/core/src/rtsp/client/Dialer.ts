/** Opens TCP and TLS connections, trying the addresses of a host side by side (RFC 8305). */
import { connect, isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { CertificateError, Closed, DnsError, ProtocolError, TimedOut } from "../../camera/Reason.ts"
import { bracketed, withoutZone } from "@restream/config"
import { HostResolver } from "../../network/HostResolver.ts"
import { nowMs } from "../../time/Monotonic.ts"
import * as Deadline from "../../time/Deadline.ts"
import { fromConnectCode, RtspError, type RtspReason } from "./RtspError.ts"

/**
 * Which certificates are trusted for `rtsps`.
 *
 * - `Verify`: issued for the host name by a known authority; `ca` adds authorities, in PEM.
 * - `Fingerprint`: the certificate with this SHA-256 fingerprint, in hexadecimal, with or without colons. For
 *   self-signed certificates of cameras.
 * - `Insecure`: any certificate. A man in the middle can read the stream and the password.
 */
export type Trust =
  | { readonly _tag: "Verify"; readonly ca?: string | undefined }
  | { readonly _tag: "Fingerprint"; readonly sha256: string }
  | { readonly _tag: "Insecure" }

/** The trust that a camera's options or the media server's settings ask for. */
export const trustOf = (options: {
  readonly fingerprint: string | undefined
  readonly insecure: boolean
}): Trust => {
  if (options.fingerprint !== undefined) return { _tag: "Fingerprint", sha256: options.fingerprint }
  return options.insecure ? { _tag: "Insecure" } : { _tag: "Verify" }
}

/** Receives bytes. With `reused` the chunk's memory is overwritten after the call. */
export type Receive = (chunk: Buffer, reused: boolean) => void

/** The address of a server. */
export interface Endpoint {
  /** A host name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** `undefined`: no TLS. */
  readonly tls?: Trust | undefined
}

export interface DialOptions extends Endpoint {
  /** For resolving, connecting, and TLS together. */
  readonly deadline: Deadline.Deadline
  /**
   * Reads into one buffer that all such connections share, which saves a fifth of the CPU time with hundreds of
   * connections. No effect with TLS.
   */
  readonly sharedBuffer: boolean
  readonly receive: Receive
}

/** The delay before the next address is tried in parallel (RFC 8305 §5). */
const connectionAttemptDelay = Duration.millis(250)

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

const timedOut = (afterMs: number) => fail(new TimedOut({ phase: "connecting", afterMs }))

/** The buffer of all connections with `sharedBuffer`: each read is processed before the next starts. */
const shared = Buffer.allocUnsafeSlow(65_536)

/** Whether the socket reads into {@link shared}; otherwise it emits `data` events. */
const readsShared = ({ sharedBuffer, tls }: DialOptions): boolean =>
  sharedBuffer && tls === undefined

/**
 * Opens a connection to one address, for a callback; returns the effect that cancels it. Every socket is added
 * to `opened`.
 */
const attempt =
  (options: DialOptions, address: string, opened: Set<Socket>) =>
  (resume: (effect: Effect.Effect<Socket, RtspError>) => void): Effect.Effect<void> => {
    const startedAt = nowMs(options.deadline.clock)
    const { port, receive } = options
    const onread = readsShared(options)
      ? {
          buffer: shared,
          callback: (length: number) => {
            receive(shared.subarray(0, length), true)
            return true
          }
        }
      : undefined
    const socket = connect({ host: address, port, noDelay: true, ...(onread && { onread }) })
    opened.add(socket)
    // the listener stays for the socket's life, because an unhandled error would end the process
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      socket.destroy()
      const authority = `${bracketed(address)}:${port}`
      resume(fail(fromConnectCode(code, authority, nowMs(options.deadline.clock) - startedAt)))
    })
    socket.once("connect", () => resume(Effect.succeed(socket)))
    return Effect.sync(() => socket.destroy())
  }

/** The most specific of several errors: `HostUnreachable` is the least specific. */
const mostSpecificError = (failures: ReadonlyArray<RtspError>): RtspError | undefined =>
  failures.find(({ reason }) => reason._tag === "Refused") ??
  failures.find(({ reason }) => reason._tag !== "HostUnreachable") ??
  failures[0]

/** The first address to connect. Each attempt starts when the previous one fails, or after a delay. */
const race = Effect.fnUntraced(function* (
  options: DialOptions,
  addresses: ReadonlyArray<string>,
  opened: Set<Socket>
): Effect.fn.Return<Socket, RtspError> {
  const [only, ...others] = addresses
  if (only !== undefined && others.length === 0) {
    return yield* Effect.callback(attempt(options, only, opened))
  }
  const failures: Array<RtspError> = []
  let before: Deferred.Deferred<void> | undefined
  const attempts: Array<Effect.Effect<Socket, RtspError>> = []
  for (const address of addresses) {
    const previous = before
    const failed = yield* Deferred.make<void>()
    before = failed
    attempts.push(
      Effect.callback(attempt(options, address, opened)).pipe(
        Effect.tapError((error) =>
          Effect.suspend(() => {
            failures.push(error)
            return Deferred.succeed(failed, undefined)
          })
        ),
        previous === undefined
          ? (self) => self
          : (self) =>
              Effect.andThen(
                // the previous attempt may never end
                Effect.raceFirst(
                  Effect.sleep(Duration.times(connectionAttemptDelay, attempts.length)),
                  Deferred.await(previous)
                ),
                self
              )
      )
    )
  }
  return yield* Effect.raceAll(attempts).pipe(
    Effect.mapError((error) => mostSpecificError(failures) ?? error)
  )
})

const normalFingerprint = (text: string): string => text.replaceAll(/[:\s]/g, "").toUpperCase()

const tlsOptions = (host: string, trust: Trust): ConnectionOptions => {
  const options: ConnectionOptions = {
    ...(isIP(host) === 0 ? { servername: host } : { host: withoutZone(host) }),
    // `distrust` decides: only after the handshake the error can name the fingerprint
    rejectUnauthorized: false
  }
  if (trust._tag === "Verify")
    return trust.ca === undefined ? options : { ...options, ca: trust.ca }
  // cameras with self-signed certificates use old TLS versions
  return { ...options, minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }
}

/** Why the certificate of a connection is not trusted; `undefined` if it is. */
const distrust = (socket: TLSSocket, trust: Trust): CertificateError | undefined => {
  if (trust._tag === "Insecure") return undefined
  const fingerprint = socket.getPeerCertificate().fingerprint256 ?? ""
  const isTrusted =
    trust._tag === "Verify"
      ? socket.authorized
      : normalFingerprint(fingerprint) === normalFingerprint(trust.sha256)
  if (isTrusted) return undefined
  const detail =
    trust._tag === "Verify"
      ? certificateProblem(String(socket.authorizationError))
      : "another fingerprint"
  return new CertificateError({ detail, ...(fingerprint !== "" && { fingerprint }) })
}

/** Node's codes of certificate errors, in words. */
const certificateProblems: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed",
  SELF_SIGNED_CERT_IN_CHAIN: "signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "signed by an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "signed by an unknown authority",
  CERT_HAS_EXPIRED: "expired",
  CERT_NOT_YET_VALID: "not yet valid",
  ERR_TLS_CERT_ALTNAME_INVALID: "issued for another host"
}

const certificateProblem = (code: string): string => {
  const problem = certificateProblems[code]
  return problem === undefined ? code : `${problem} (${code})`
}

const fromTlsCode = (code: string): RtspReason => {
  if (code === "ECONNRESET" || code === "EPIPE") return new Closed({ phase: "connecting", code })
  // not TLS, or no common version
  return new ProtocolError({ detail: `TLS handshake failed (${code})` })
}

const secure = (
  socket: Socket,
  options: DialOptions,
  trust: Trust
): Effect.Effect<TLSSocket, RtspError> =>
  Effect.callback((resume) => {
    const secured = connectTls({ socket, ...tlsOptions(options.host, trust) })
    const onError = (error: NodeJS.ErrnoException) => {
      socket.destroy()
      resume(fail(fromTlsCode(error.code ?? "unknown")))
    }
    const onClose = () => resume(fail(new Closed({ phase: "connecting" })))
    secured.once("error", onError)
    secured.once("close", onClose)
    secured.once("secureConnect", () => {
      secured.off("error", onError)
      secured.off("close", onClose)
      secured.on("error", () => {})
      const reason = distrust(secured, trust)
      if (reason !== undefined) {
        secured.destroy()
        return resume(fail(reason))
      }
      resume(Effect.succeed(secured))
    })
    return Effect.sync(() => {
      secured.destroy()
      socket.destroy()
    })
  })

/** The names of TLS versions that are not accepted without a fingerprint. */
const obsoleteVersions: Readonly<Record<string, string>> = {
  TLSv1: "TLS 1.0",
  "TLSv1.1": "TLS 1.1"
}

/**
 * After a handshake failed: fails with the fingerprint of the certificate if the peer offers obsolete TLS only,
 * because a configured fingerprint accepts that. Sends no data.
 */
const findObsolete = (
  options: DialOptions,
  addresses: ReadonlyArray<string>,
  opened: Set<Socket>
): Effect.Effect<void, RtspError> =>
  race({ ...options, receive: () => {} }, addresses, opened).pipe(
    Effect.flatMap((socket) => secure(socket, options, { _tag: "Insecure" })),
    Effect.option,
    Effect.flatMap(
      Option.match({
        onNone: () => Effect.void,
        onSome: (socket) => {
          const { fingerprint256: fingerprint } = socket.getPeerCertificate()
          const version = obsoleteVersions[socket.getProtocol() ?? ""] ?? "old encryption"
          socket.destroy()
          const detail = `the device supports ${version} only, which is not secure`
          return fail(new CertificateError({ detail, fingerprint }))
        }
      })
    )
  )

/**
 * Opens a connection. The scope owns every socket opened on the way: closing the scope destroys them at once.
 * Failure and interruption leave no socket open.
 */
export const dial = (options: DialOptions): Effect.Effect<Socket, RtspError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const opened = new Set<Socket>()
    const close = Effect.sync(() => opened.forEach((socket) => socket.destroy()))
    const progress: Progress = { isResolved: false }
    const onTimeout = (afterMs: number) =>
      progress.isResolved
        ? timedOut(afterMs)
        : fail(new DnsError({ host: options.host, why: "NoAnswer" }))
    const open =
      isIP(options.host) !== 0 && options.tls === undefined
        ? // nearly all cameras: nothing to resolve, to race, or to secure
          Deadline.callback(options.deadline, attempt(options, options.host, opened), timedOut)
        : Deadline.by(options.deadline, onTimeout)(resolveAndOpen(options, opened, progress))
    return Effect.andThen(
      Scope.addFinalizer(scope, close),
      readsShared(options) ? open : Effect.tap(open, (socket) => listen(socket, options))
    ).pipe(
      Effect.withSpan("Rtsp.connect", {
        attributes: { authority: `${bracketed(options.host)}:${options.port}` }
      })
    )
  })

const listen = (socket: Socket, { receive }: DialOptions): Effect.Effect<void> =>
  Effect.sync(() => {
    socket.on("data", (chunk: Buffer) => receive(chunk, false))
  })

/** The progress of an attempt to connect. */
interface Progress {
  isResolved: boolean
}

const resolveAndOpen = Effect.fnUntraced(function* (
  options: DialOptions,
  opened: Set<Socket>,
  progress: Progress
): Effect.fn.Return<Socket, RtspError> {
  const { host } = options
  const { resolve } = yield* HostResolver
  const addresses = yield* resolve(host).pipe(
    Effect.mapError((why) => new RtspError({ reason: new DnsError({ host, why }) })),
    Effect.tap((addresses) => Effect.annotateCurrentSpan("result", addresses.join(", "))),
    Effect.withSpan("HostResolver.resolve", { attributes: { host } })
  )
  progress.isResolved = true
  const socket = yield* race(options, addresses, opened)
  // another address may have connected at the same moment
  opened.forEach((other) => other !== socket && other.destroy())
  const { tls } = options
  if (tls === undefined) return socket
  const secured = Effect.withSpan(secure(socket, options, tls), "Rtsp.secure")
  if (tls._tag !== "Verify") return yield* secured
  return yield* Effect.catchIf(
    secured,
    ({ reason }) => reason._tag !== "CertificateError",
    (error) => Effect.andThen(findObsolete(options, addresses, opened), Effect.fail(error))
  )
})
