/**
 * Stops each camera of a device from trying credentials that the device refused to another camera.
 *
 * Devices lock accounts after a few wrong passwords, and a recorder is one device with one account, however
 * many of its channels are rows of the table; see `RefusalGuard`. Until the device has accepted the credentials,
 * one camera tries them at a time.
 *
 * A device may refuse credentials that it accepted before for another reason: some devices respond with 401 when
 * all their sessions are in use, or while they still keep the sessions of a lost connection. Such credentials are
 * retried within seconds, see {@link trustedDelays}, before the lockout delay applies.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Camera } from "../camera/Camera.ts"
import { Unauthorized } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import * as RefusalGuard from "./RefusalGuard.ts"
import * as Refusals from "./Refusals.ts"

export type Refusal = RefusalGuard.Refusal<Unauthorized>
export type Lease = RefusalGuard.Lease<Unauthorized>

export interface CredentialGuard {
  /** Updates the refused credentials from the other daemons. */
  readonly recall: Effect.Effect<void>
  /** A camera's lease of its account, released with the scope. A camera without credentials shares no account. */
  readonly acquire: (camera: Pick<Camera, "id" | "url">) => Effect.Effect<Lease, never, Scope.Scope>
}

/**
 * The delays after refusals of credentials that the device accepted before, unless the lockout delay is shorter.
 * A lost session expires after 60 s by default. Many devices lock an account after five wrong passwords. With
 * these delays, and a second camera that tries at once, a device gets four wrong passwords in five minutes.
 */
export const trustedDelays: ReadonlyArray<Duration.Duration> = [
  Duration.seconds(5),
  Duration.seconds(60)
]

/** Identifies the device and the credentials; `undefined` if the URL holds no secret. */
const keyOf = ({ authority, credentials, secrets }: StreamUrl): Redacted.Redacted | undefined => {
  const given =
    credentials === undefined
      ? secrets
      : [credentials.username, Redacted.value(credentials.password)]
  return given.length === 0
    ? undefined
    : Redacted.make(JSON.stringify([authority.toLowerCase(), ...given]))
}

/**
 * @param lockoutDelay the delay before refused credentials are retried; read at each refusal.
 * @param isSinglePass whether each camera is tried once.
 * @param refusals what other daemons know. Default: there are none.
 */
export const make = (
  lockoutDelay: () => Duration.Duration,
  isSinglePass = false,
  refusals: Refusals.RefusalsService = Refusals.alone
): CredentialGuard => {
  const guard = RefusalGuard.make<Redacted.Redacted, Unauthorized>({
    provesFirst: true,
    isSinglePass,
    delays: () => trustedDelays,
    lastDelay: lockoutDelay,
    sharedReason: ({ credentials }, refusedFor) => new Unauthorized({ credentials, refusedFor }),
    shared: refusals.isShared
      ? {
          refusals,
          nameOf: (key) => key,
          codeOf: ({ credentials }) => credentials,
          reasonOf: (code) => new Unauthorized({ credentials: code === "locked" ? code : "wrong" })
        }
      : undefined
  })
  return {
    acquire: ({ id, url }) => guard.acquire(id, keyOf(url), url.path),
    recall: guard.recall
  }
}
