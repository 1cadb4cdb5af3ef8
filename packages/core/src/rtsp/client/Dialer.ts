/** Opens connections: addresses of a name tried side by side, TLS on top where it is wanted. */
import { lookup } from "node:dns"
import { connect, isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { CertificateError, Closed, DnsError, ProtocolError, TimedOut } from "../../camera/Reason.ts"
import { bracketed } from "../../camera/Host.ts"
import { nowMs } from "../../time/Monotonic.ts"
import * as Deadline from "../../time/Deadline.ts"
import { fromConnectCode, RtspError, type RtspReason } from "./RtspError.ts"

/**
 * Whose certificate is good for `rtsps`.
 *
 * - `Verify`: one that an authority vouches for, by name; `ca` names authorities besides the usual, in PEM.
 * - `Fingerprint`: this one, by its SHA-256 in hexadecimal, with or without colons. For cameras, which
 *   sign their own.
 * - `Insecure`: any. Whoever sits in between can read along.
 */
export type Trust =
  | { readonly _tag: "Verify"; readonly ca?: string | undefined }
  | { readonly _tag: "Fingerprint"; readonly sha256: string }
  | { readonly _tag: "Insecure" }

/** Takes what comes in. With `reused` the chunk's memory is overwritten after the call. */
export type Receive = (chunk: Buffer, reused: boolean) => void

/** Where a connection leads. */
export interface Endpoint {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** `undefined`: no TLS. */
  readonly tls?: Trust | undefined
}

export interface DialOptions extends Endpoint {
  /** For all of it: the name, the connection, TLS. */
  readonly deadline: Deadline.Deadline
  /**
   * Reads into one piece of memory that all such connections share: cheaper by a fifth with hundreds of
   * them. Not with TLS, which has its own.
   */
  readonly sharedBuffer: boolean
  readonly receive: Receive
  /** Finds the addresses of a name. Default: the system's way. */
  readonly resolve?: ((host: string) => Effect.Effect<ReadonlyArray<string>, RtspError>) | undefined
}

/** How long an address may keep us waiting before the next is tried beside it (RFC 8305 §5). */
const connectionAttemptDelay = Duration.millis(250)

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

const late = (afterMs: number) => fail(new TimedOut({ phase: "connecting", afterMs }))

/** What all connections with `sharedBuffer` read into: each is done with it before the next begins. */
const shared = Buffer.allocUnsafeSlow(65_536)

const resolveBySystem = (host: string): Effect.Effect<ReadonlyArray<string>, RtspError> =>
  isIP(host) !== 0
    ? Effect.succeed([host])
    : Effect.callback((resume) => {
        lookup(host, { all: true }, (error, addresses) =>
          resume(
            error === null && addresses.length > 0
              ? Effect.succeed(addresses.map(({ address }) => address))
              : fail(new DnsError({ host }))
          )
        )
      })

/** Whether it reads into {@link shared}; else its `data` events are listened to. */
const readsShared = ({ sharedBuffer, tls }: DialOptions): boolean =>
  sharedBuffer && tls === undefined

/**
 * Opens a connection to one address, for a callback; gives what gives it up. Every socket goes into `opened`,
 * whatever becomes of it.
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
    // it stays, and tells nobody when the socket is open: no error may end the process
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      socket.destroy()
      const authority = `${bracketed(address)}:${port}`
      resume(fail(fromConnectCode(code, authority, nowMs(options.deadline.clock) - startedAt)))
    })
    socket.once("connect", () => resume(Effect.succeed(socket)))
    return Effect.sync(() => socket.destroy())
  }

/** Of several failures the one that says most: an address that can't be reached says least. */
const mostSpecificError = (failures: ReadonlyArray<RtspError>): RtspError | undefined =>
  failures.find(({ reason }) => reason._tag === "Refused") ??
  failures.find(({ reason }) => reason._tag !== "HostUnreachable") ??
  failures[0]

/** The first address that answers: each begins when the one before failed, or kept us waiting. */
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
    const turn = before
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
        turn === undefined
          ? (self) => self
          : (self) =>
              Effect.andThen(
                // the one before may never answer; from its turn on it has the connectionAttemptDelay
                Effect.raceFirst(
                  Effect.sleep(Duration.times(connectionAttemptDelay, attempts.length)),
                  Deferred.await(turn)
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
  const name = isIP(host) === 0 ? { servername: host } : { host }
  if (trust._tag === "Verify") {
    return {
      ...name,
      rejectUnauthorized: true,
      ...(trust.ca === undefined ? {} : { ca: trust.ca })
    }
  }
  // cameras that sign their own certificate speak old versions, too
  return {
    ...name,
    rejectUnauthorized: false,
    minVersion: "TLSv1",
    ciphers: "DEFAULT@SECLEVEL=0"
  }
}

/** Node's codes for certificates, in words. */
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
  // no TLS at all, or no common version; every other code is about the certificate
  return code === "EPROTO" || code.startsWith("ERR_SSL_")
    ? new ProtocolError({ detail: `TLS handshake failed (${code})` })
    : new CertificateError({ detail: certificateProblem(code) })
}

const secure = (
  socket: Socket,
  options: DialOptions,
  trust: Trust
): Effect.Effect<Socket, RtspError> =>
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
      if (
        trust._tag === "Fingerprint" &&
        normalFingerprint(secured.getPeerCertificate().fingerprint256 ?? "") !==
          normalFingerprint(trust.sha256)
      ) {
        secured.destroy()
        return resume(
          fail(
            new CertificateError({
              detail: "its SHA-256 fingerprint differs from the configured fingerprint"
            })
          )
        )
      }
      resume(Effect.succeed(secured))
    })
    return Effect.sync(() => {
      secured.destroy()
      socket.destroy()
    })
  })

/**
 * Opens a connection. The scope owns it, and whatever else was opened on the way to it: closing it destroys
 * the sockets at once. What fails or is interrupted leaves nothing open either.
 */
export const dial = (options: DialOptions): Effect.Effect<Socket, RtspError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => {
    const opened = new Set<Socket>()
    const close = Effect.sync(() => opened.forEach((socket) => socket.destroy()))
    const open =
      isIP(options.host) !== 0 && options.resolve === undefined && options.tls === undefined
        ? // nearly all cameras: there is nothing to resolve, to race or to secure
          Deadline.callback(options.deadline, attempt(options, options.host, opened), late)
        : Deadline.by(options.deadline, late)(openSomewhere(options, opened))
    return Effect.andThen(
      Scope.addFinalizer(scope, close),
      readsShared(options) ? open : Effect.tap(open, (socket) => listen(socket, options))
    )
  })

const listen = (socket: Socket, { receive }: DialOptions): Effect.Effect<void> =>
  Effect.sync(() => {
    socket.on("data", (chunk: Buffer) => receive(chunk, false))
  })

const openSomewhere = Effect.fnUntraced(function* (
  options: DialOptions,
  opened: Set<Socket>
): Effect.fn.Return<Socket, RtspError> {
  const addresses = yield* (options.resolve ?? resolveBySystem)(options.host)
  const socket = yield* race(options, addresses, opened)
  // one that lost the race by a hair may be open, too
  opened.forEach((other) => other !== socket && other.destroy())
  return options.tls === undefined ? socket : yield* secure(socket, options, options.tls)
})
