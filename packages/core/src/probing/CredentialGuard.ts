/**
 * Keeps a user name and a password that a device refused from being tried by each camera of that device.
 *
 * Devices lock accounts after a few wrong passwords, and a recorder is one device with one account, however
 * many of its channels are rows of the table; see `RefusalGuard`. Until the device has accepted the credentials,
 * one camera tries them at a time.
 *
 * A device that has accepted them before may refuse them for another reason: some respond with 401 when all
 * their sessions are in use, or while they still keep the sessions of a lost connection. Then they are tried
 * again within seconds, {@link trustedDelays}, before the lockout delay applies.
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
  /** Learns what other daemons know of the credentials that are refused here. */
  readonly recall: Effect.Effect<void>
  /** A camera's lease of its account, for as long as the scope. A camera without credentials shares none. */
  readonly acquire: (camera: Pick<Camera, "id" | "url">) => Effect.Effect<Lease, never, Scope.Scope>
}

/**
 * The delays after refusals of credentials that the device accepted before, unless the lockout delay is shorter.
 * A lost session expires after 60 s by default. Many devices lock an account after five wrong passwords; with
 * these delays, and a second camera that tries at once, they get four in five minutes.
 */
export const trustedDelays: ReadonlyArray<Duration.Duration> = [
  Duration.seconds(5),
  Duration.seconds(60)
]

/** What the device is asked with; `undefined` if the URL holds no secret. */
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
 * @param lockoutDelay how long refused credentials are not tried again; read at each refusal.
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
