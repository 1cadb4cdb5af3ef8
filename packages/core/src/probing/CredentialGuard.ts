/**
 * Keeps a user name and a password that a device refused from being tried by each camera of that device.
 *
 * Devices lock accounts after a few wrong passwords, and a recorder is one device with one account, however
 * many channels are rows of the table. So credentials that an authority refused to two cameras are refused
 * for all its cameras: none of them tries until the lockout delay is over. Then they try one at a time, those
 * first that have waited longest, and the first that the device accepts lets all others go. A refusal to one
 * camera may be about its channel, so a second camera tries before the credentials are given up.
 *
 * Until a device has accepted credentials for the first time they are tried one at a time, too. One that
 * gets no answer keeps the others from their turn for {@link longestThought} only, and what it learns of the
 * host as a whole, that nothing accepts a connection there, holds for all that wait. A camera without
 * credentials has nothing to share, and waits for itself alone.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Camera, CameraId } from "../camera/Camera.ts"
import { Unauthorized } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import { type Failure, isFailureOfHost } from "./ProbeLimiter.ts"
import { nowMs } from "../time/Monotonic.ts"

/**
 * A device that is silent for longer is not thinking about a password, but hangs. Media servers that slow
 * down who guesses passwords take up to 4 s for a wrong one.
 */
export const longestThought = Duration.seconds(5)

/** Why a camera has to wait. */
export interface Refusal {
  /** It names the camera for which the credentials were refused, if that was another one. */
  readonly reason: Unauthorized
  /** When they may be tried again, in milliseconds since 1970. */
  readonly until: number
}

/** A camera's part in its account. */
export interface Lease {
  /** Whether others may try the same credentials. One that nobody shares waits for its own refusals alone. */
  readonly isShared: boolean
  /**
   * Runs an effect when the camera may try its credentials, and others not before its end where that could
   * be another wrong attempt.
   *
   * It fails without having run where one that ran meanwhile failed by a reason that holds for the whole
   * host: with the same error, so all effects of an account have to fail in one way.
   *
   * @param onWait runs when the camera has to wait, and again whenever the credentials were refused anew
   * meanwhile; without a refusal another camera tries them just now. Where it fails, nobody waits.
   */
  withPermit<E2, R2>(
    onWait: (refusal: Refusal | undefined) => Effect.Effect<void, E2, R2>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2, R | R2>
  /** Whether another camera's attempt was refused since this one had its turn: look at it before you try. */
  readonly isBlocked: boolean
  /** Lets this camera try its credentials once, although they were refused: an operator asked for it. */
  tryNow(): void
  /** Tells that the device took the credentials. */
  accepted(): void
  /** Tells that the device refused them. */
  refused(reason: Unauthorized): void
}

export interface CredentialGuard {
  /** A camera's lease, for as long as the scope. What is known of an account goes with its last camera. */
  readonly acquire: (camera: Pick<Camera, "id" | "url">) => Effect.Effect<Lease, never, Scope.Scope>
}

interface Refused {
  readonly by: CameraId
  readonly reason: Unauthorized
  /** By the monotonic clock. */
  readonly untilMs: number
}

interface Member {
  readonly id: CameraId
  /** When it had its last turn, by the monotonic clock; -Infinity where it had none. */
  triedMs: number
  /** Its own last attempt, if that was refused. */
  refused: Refused | undefined
  /**
   * It was refused what another camera got by the same credentials: the right to one path, say. Then its
   * next refusal tells nothing about the others.
   */
  isOdd: boolean
  /** An operator asked for an attempt in spite of a refusal. */
  mayTryNow: boolean
}

/** One device's view of one user name and password. */
interface Account {
  readonly members: Set<Member>
  /** Whether the last thing that the device said of them was that they are right. */
  isAccepted: boolean
  refused: Refused | undefined
  /** The cameras that were refused since the device last accepted the credentials. */
  readonly suspects: Set<Member>
  /** Who tries them just now, while they are not accepted. */
  trying: Member | undefined
  /** Who wants to try them. */
  readonly waiting: Set<Member>
  /** The last failure that held for the whole host. */
  hostFailure: Failure | undefined
  /** Done at the next change of any of these. */
  changed: Deferred.Deferred<void>
}

const newAccount = (): Account => ({
  members: new Set(),
  isAccepted: false,
  refused: undefined,
  suspects: new Set(),
  trying: undefined,
  waiting: new Set(),
  hostFailure: undefined,
  changed: Deferred.makeUnsafe()
})

/** The one whose last turn is the longest ago; of several, the one that came first. */
const nextOf = ({ waiting }: Account): Member | undefined => {
  let next: Member | undefined
  for (const member of waiting) {
    if (next === undefined || member.triedMs < next.triedMs) next = member
  }
  return next
}

/** What the device is asked with; `undefined` where the address holds no secret. */
const keyOf = ({ authority, credentials, secrets }: StreamUrl): Redacted.Redacted | undefined => {
  const given =
    credentials === undefined
      ? secrets
      : [credentials.username, Redacted.value(credentials.password)]
  return given.length === 0
    ? undefined
    : Redacted.make(JSON.stringify([authority.toLowerCase(), ...given]))
}

/** So many cameras have to be refused before the credentials are taken for wrong. */
const suspectsForLockout = 2

const longestThoughtMs = Duration.toMillis(longestThought)

const enter = (account: Account, member: Member): Account => {
  account.members.add(member)
  return account
}

const tellChange = (account: Account): void => {
  Deferred.doneUnsafe(account.changed, Effect.void)
  account.changed = Deferred.makeUnsafe()
}

/** @param lockoutDelay how long refused credentials are not tried again; read at each refusal. */
export const make = (lockoutDelay: () => Duration.Duration): CredentialGuard => {
  // its keys hold the credentials, which nothing prints
  const accounts = MutableHashMap.empty<Redacted.Redacted, Account>()

  const accountOf = (key: Redacted.Redacted): Account => {
    const account = Option.getOrElse(MutableHashMap.get(accounts, key), newAccount)
    MutableHashMap.set(accounts, key, account)
    return account
  }

  return {
    acquire: ({ id, url }) =>
      Clock.clockWith((clock) => {
        const member: Member = {
          id,
          triedMs: -Infinity,
          refused: undefined,
          isOdd: false,
          mayTryNow: false
        }
        const key = keyOf(url)
        if (key === undefined) {
          return Effect.succeed(
            new MemberLease({ account: undefined, member, clock, lockoutDelay })
          )
        }
        return Effect.acquireRelease(
          Effect.sync(() => enter(accountOf(key), member)),
          (account) =>
            Effect.sync(() => {
              account.members.delete(member)
              account.suspects.delete(member)
              if (account.members.size === 0) MutableHashMap.remove(accounts, key)
            })
        ).pipe(Effect.map((account) => new MemberLease({ account, member, clock, lockoutDelay })))
      })
  }
}

/** A class, because a check of a hundred cameras makes a hundred of them. */
class MemberLease implements Lease {
  readonly isShared: boolean
  #known: Account | undefined
  readonly #member: Member
  readonly #clock: Clock.Clock
  readonly #lockoutDelay: () => Duration.Duration

  constructor(fields: {
    /** `undefined` for a camera that shares none. */
    readonly account: Account | undefined
    readonly member: Member
    readonly clock: Clock.Clock
    readonly lockoutDelay: () => Duration.Duration
  }) {
    this.isShared = fields.account !== undefined
    this.#known = fields.account
    this.#member = fields.member
    this.#clock = fields.clock
    this.#lockoutDelay = fields.lockoutDelay
  }

  /** One that nobody shares is made when it is needed: for most cameras it never is. */
  get #account(): Account {
    return (this.#known ??= enter(newAccount(), this.#member))
  }

  /** What keeps this camera from trying: what was refused to all, or while they are accepted to it alone. */
  get #refusedNow(): Refused | undefined {
    const { isAccepted, refused } = this.#account
    return isAccepted ? this.#member.refused : (refused ?? this.#member.refused)
  }

  /** When the next turn can be taken without a change of the account, by the monotonic clock. */
  get #freeAtMs(): number {
    const { isAccepted, trying } = this.#account
    const refusedUntilMs = this.#refusedNow?.untilMs ?? -Infinity
    if (isAccepted || trying === undefined) return refusedUntilMs
    return Math.max(refusedUntilMs, trying.triedMs + longestThoughtMs)
  }

  /** Takes the permit if it is free at `now`, a reading of the monotonic clock in milliseconds. */
  #tryAcquire(now: number): boolean {
    const account = this.#account
    const member = this.#member
    if (member.mayTryNow) {
      if (account.trying !== undefined && !account.isAccepted) return false
    } else {
      if (now < this.#freeAtMs) return false
      if (!account.isAccepted && nextOf(account) !== member) return false
    }
    if (!account.isAccepted) account.trying = member
    account.waiting.delete(member)
    member.triedMs = now
    member.mayTryNow = false
    return true
  }

  #refusal({ by, reason, untilMs }: Refused): Refusal {
    return {
      reason:
        by === this.#member.id
          ? reason
          : new Unauthorized({ credentials: reason.credentials, refusedFor: by }),
      until: this.#clock.currentTimeMillisUnsafe() + untilMs - nowMs(this.#clock)
    }
  }

  /** Gives the failure that ends the wait, where there is no need for a turn any more. */
  #awaitPermit<E, R>(
    onWait: (refusal: Refusal | undefined) => Effect.Effect<void, E, R>
  ): Effect.Effect<Failure | undefined, E, R> {
    return Effect.gen({ self: this }, function* () {
      const account = this.#account
      const { hostFailure } = account
      let told: Refused | undefined | null = null
      for (;;) {
        // One reading of the clock decides a whole round. With a second one the delay could end between
        // the two: too late to acquire the permit, too early to wait for the time that is left.
        const now = nowMs(this.#clock)
        if (this.#tryAcquire(now)) return undefined
        if (account.hostFailure !== hostFailure) return account.hostFailure
        const refused = this.#refusedNow
        if (refused !== told) {
          told = refused
          yield* onWait(refused === undefined ? undefined : this.#refusal(refused))
          // it may have come while that was told
          continue
        }
        const waitMs = this.#freeAtMs - now
        const changed = Deferred.await(account.changed)
        yield* waitMs > 0 && Number.isFinite(waitMs)
          ? Effect.timeoutOption(changed, waitMs)
          : changed
      }
    })
  }

  #release(exit: Exit.Exit<unknown, unknown>): void {
    const account = this.#account
    const wasWaiting = account.waiting.delete(this.#member)
    const wasTrying = account.trying === this.#member
    if (wasTrying) account.trying = undefined
    // one that was told by another tells nothing on
    const isNews = !wasWaiting && isFailureOfHost(exit)
    if (isNews) account.hostFailure = exit
    if ((wasWaiting || wasTrying || isNews) && !account.isAccepted) tellChange(account)
  }

  withPermit<E2, R2>(onWait: (refusal: Refusal | undefined) => Effect.Effect<void, E2, R2>) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2> =>
      Effect.onExit(
        Effect.suspend(() => {
          this.#account.waiting.add(this.#member)
          // most need not wait
          return this.#tryAcquire(nowMs(this.#clock))
            ? effect
            : Effect.flatMap(
                this.#awaitPermit(onWait),
                (instead): Effect.Effect<A, E, R> => instead ?? effect
              )
        }),
        (exit) => Effect.sync(() => this.#release(exit))
      )
  }

  get isBlocked(): boolean {
    return this.isShared && !this.#account.isAccepted && this.#account.trying !== this.#member
  }

  tryNow(): void {
    // a camera that does not wait tries by itself
    if (!this.#account.waiting.has(this.#member)) return
    this.#member.mayTryNow = true
    tellChange(this.#account)
  }

  accepted(): void {
    if (this.#known === undefined) return
    const account = this.#account
    this.#member.refused = undefined
    this.#member.isOdd = false
    account.suspects.clear()
    if (account.isAccepted) return
    account.isAccepted = true
    account.refused = undefined
    for (const other of account.members) {
      if (other.refused === undefined) continue
      // it may try at once, and if that is refused again, it is refused to it alone
      other.refused = undefined
      other.isOdd = true
    }
    tellChange(account)
  }

  refused(reason: Unauthorized): void {
    const account = this.#account
    const member = this.#member
    const untilMs = nowMs(this.#clock) + Duration.toMillis(this.#lockoutDelay())
    member.refused = { by: member.id, reason, untilMs }
    if (account.isAccepted && member.isOdd) return
    // One refusal may be about the channel: a device forbids some to an account. A second one is about the
    // credentials.
    account.suspects.add(member)
    if (account.suspects.size < Math.min(suspectsForLockout, account.members.size)) {
      return tellChange(account)
    }
    account.isAccepted = false
    account.refused = member.refused
    tellChange(account)
  }
}
