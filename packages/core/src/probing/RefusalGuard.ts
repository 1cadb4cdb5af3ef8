/**
 * Stops each camera of a device from repeating a request that the device refused to another camera.
 *
 * Cameras that share something at a device, such as an account, form a group (`RefusalGroup.ts`). A refusal to one
 * camera may be about its channel, so only that camera waits. A refusal to a second camera is about what they
 * share, and blocks the group. Then one camera tries at a time, after a delay that grows with each refusal. The camera
 * with the oldest attempt is the first. The first camera that the device accepts releases all others.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as MutableHashMap from "effect/MutableHashMap"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { CameraId } from "../camera/Camera.ts"
import { nowMs } from "../time/Monotonic.ts"
import { type Failure, isFailureOfHost } from "./ProbeLimiter.ts"
import {
  Group,
  longestAttempt,
  type Member,
  type Policy,
  type Refused,
  type Shared,
  suspectsToBlock
} from "./RefusalGroup.ts"
import type { Outcome } from "./Refusals.ts"

export { longestAttempt, type Policy, type Shared }

/** Why a camera has to wait. */
export interface Refusal<Reason> {
  readonly reason: Reason
  /** When the camera may try again, in milliseconds since 1970. */
  readonly until: number
}

/** A camera's membership in its group. */
export interface Lease<Reason> {
  /**
   * Runs an effect when the camera may try, and lets no other camera of an unproven or blocked group
   * try meanwhile, unless the effect takes longer than {@link longestAttempt}.
   *
   * Fails without running the effect if the attempt of another camera failed meanwhile for a reason that holds
   * for the whole host: with the same error, so all effects of a group have to fail in one way.
   *
   * @param onWait runs when the camera has to wait, and whenever the reason changes: a refusal, or `undefined`
   * while another camera tries. If it fails, the wait ends.
   */
  withPermit<E2, R2>(
    onWait: (refusal: Refusal<Reason> | undefined) => Effect.Effect<void, E2, R2>
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | E2, R | R2>
  /** Whether the camera has lost its permit, because of a refusal to another camera or a slow attempt. */
  readonly isBlocked: boolean
  /** Whether the device refused this camera or its group since it last accepted one. */
  readonly isRefused: boolean
  /** Whether refusals to two cameras block the group. */
  readonly isGroupBlocked: boolean
  /** Whether the maximum number of cameras try or are live. */
  readonly isFull: boolean
  /** How many other cameras of the group are live. */
  readonly othersLive: number
  /**
   * Claims the attempt among the other daemons, right before the camera tries. Not needed while a camera of the group
   * is live. `false`: the permit is lost, because another daemon was refused or is trying.
   */
  readonly claim: Effect.Effect<boolean>
  /** Lets the camera try once in spite of a refusal, on request of an operator. */
  tryNow(): void
  /**
   * Records that the device accepted the camera, which is live until {@link ended}.
   *
   * @param isProof whether this disproves earlier refusals. Default true. Otherwise the camera keeps its permit
   * until the device accepts or refuses the remaining requests.
   */
  accepted(isProof?: boolean): void
  /** Records the end of what the device accepted. */
  ended(): void
  /**
   * Records that the device refused the camera.
   *
   * @param least the minimum delay, if the device asks for a long one.
   */
  refused(reason: Reason, least?: Duration.Duration): void
}

/** How long a group waits while another daemon tries. */
const claimWaitMs = 250

/** The interval at which a full group reads its limit again: a reload of the settings may have raised it. */
const limitCheck = Duration.seconds(30)

export interface RefusalGuard<Key, Reason> {
  /**
   * A camera's lease, released with the scope. The state of a group is discarded with its last camera.
   *
   * @param key what the camera shares with others. `undefined`: nothing; the camera forms its own group.
   * @param address distinguishes several addresses of the camera with the same key. Default: there is one.
   */
  readonly acquire: (
    id: CameraId,
    key: Key | undefined,
    address?: string
  ) => Effect.Effect<Lease<Reason>, never, Scope.Scope>
  /** Updates the refused groups from the other daemons, where the device may have accepted them. */
  readonly recall: Effect.Effect<void>
}

export const make = <Key, Reason>(policy: Policy<Key, Reason>): RefusalGuard<Key, Reason> => {
  const groups = MutableHashMap.empty<Key, Group<Reason>>()

  const groupOf = (key: Key | undefined): Group<Reason> => {
    if (key === undefined) return new Group(policy, () => Infinity)
    const group = Option.getOrElse(
      MutableHashMap.get(groups, key),
      () =>
        new Group<Reason>(
          policy,
          () => policy.most?.(key) ?? Infinity,
          policy.shared && { name: policy.shared.nameOf(key), shared: policy.shared }
        )
    )
    MutableHashMap.set(groups, key, group)
    return group
  }

  const recall = Effect.gen(function* () {
    const { shared } = policy
    if (shared === undefined) return
    const refused = new Map<Redacted.Redacted, Group<Reason>>()
    for (const [, group] of groups) {
      if (group.refused !== undefined && group.others !== undefined) {
        refused.set(group.others.name, group)
      }
    }
    if (refused.size === 0) return
    const known = yield* shared.refusals.recall([...refused.keys()])
    const now = nowMs(yield* Clock.Clock)
    for (const [name, each] of known) refused.get(name)?.merge(each, now)
  })

  return {
    recall,
    acquire: (id, key, address = "") =>
      Clock.clockWith((clock) =>
        Effect.acquireRelease(
          Effect.sync(() => new MemberLease(id, address, groupOf(key), clock)),
          (lease) =>
            Effect.sync(() => {
              if (lease.leave() && key !== undefined) MutableHashMap.remove(groups, key)
            })
        )
      )
  }
}

class MemberLease<Reason> implements Lease<Reason> {
  readonly #group: Group<Reason>
  readonly #member: Member<Reason>
  readonly #clock: Clock.Clock

  constructor(id: CameraId, address: string, group: Group<Reason>, clock: Clock.Clock) {
    const suspect = `${id}\n${address}`
    this.#member = {
      id,
      suspect: group.others?.shared.refusals.digest(suspect) ?? suspect,
      triedMs: -Infinity,
      refused: undefined,
      refusals: 0,
      wasAccepted: false,
      isLive: false,
      isTrying: false,
      isUnproven: false,
      mayTryNow: false,
      isForced: false,
      hasClaim: false
    }
    this.#group = group
    this.#clock = clock
    group.members.add(this.#member)
  }

  /** Leaves the group; `true` if it was the last member. */
  leave(): boolean {
    this.ended()
    this.#group.members.delete(this.#member)
    return this.#group.members.size === 0
  }

  #toRefusal({ by, reason }: Refused<Reason>): Refusal<Reason> {
    const untilMs = this.#group.refusedUntilMs(this.#member)
    const own = this.#member.refused
    return {
      reason: own?.reason ?? this.#group.policy.sharedReason(reason, by),
      until: this.#clock.currentTimeMillisUnsafe() + untilMs - nowMs(this.#clock)
    }
  }

  /** Waits for the permit. Returns the failure of another camera if it makes the attempt needless. */
  #awaitPermit<E, R>(
    onWait: (refusal: Refusal<Reason> | undefined) => Effect.Effect<void, E, R>
  ): Effect.Effect<Failure | undefined, E, R> {
    return Effect.gen({ self: this }, function* () {
      const group = this.#group
      const member = this.#member
      const { hostFailure } = group
      let reported: Refused<Reason> | undefined | null = null
      for (;;) {
        // The clock is read once per round. Between two readings the delay could end: too late to acquire the
        // permit, and with no time left to wait for.
        const now = nowMs(this.#clock)
        if (group.tryAcquire(member, now)) return undefined
        if (group.hostFailure !== hostFailure) return group.hostFailure
        const refused = group.refusalOf(member)
        if (refused !== reported) {
          reported = refused
          yield* onWait(refused === undefined ? undefined : this.#toRefusal(refused))
          // the group may have changed meanwhile
          continue
        }
        const waitMs = group.freeAtMs(member) - now
        const changed = Deferred.await(group.changed)
        if (group.isFull) yield* Effect.timeoutOption(changed, limitCheck)
        else if (waitMs > 0 && Number.isFinite(waitMs)) yield* Effect.timeoutOption(changed, waitMs)
        else yield* changed
      }
    })
  }

  #release(exit: Exit.Exit<unknown, unknown>): void {
    const group = this.#group
    const wasWaiting = group.waiting.delete(this.#member)
    group.setActivity(this.#member, { isTrying: false })
    if (!this.#member.isUnproven) {
      group.releasePermit(this.#member)
      this.#conclude({ _tag: "Released" })
    }
    // a failure that came from another camera is not passed on
    if (!wasWaiting && isFailureOfHost(exit)) group.hostFailure = exit
    group.notifyChange()
  }

  withPermit<E2, R2>(
    onWait: (refusal: Refusal<Reason> | undefined) => Effect.Effect<void, E2, R2>
  ) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2> =>
      Effect.onExit(
        Effect.suspend(() => {
          this.#group.waiting.add(this.#member)
          // the common case needs no wait
          return this.#group.tryAcquire(this.#member, nowMs(this.#clock))
            ? effect
            : Effect.flatMap(
                this.#awaitPermit(onWait),
                (failure): Effect.Effect<A, E, R> => failure ?? effect
              )
        }),
        (exit) => Effect.sync(() => this.#release(exit))
      )
  }

  /** Reports the outcome of an attempt, if other daemons wait for it. */
  #conclude(outcome: Outcome): void {
    if (!this.#member.hasClaim) return
    this.#member.hasClaim = false
    this.#group.report(outcome)
  }

  get claim(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      const group = this.#group
      const member = this.#member
      const { others } = group
      if (others === undefined || !group.isOneAtATime(member)) return Effect.succeed(true)
      const { refusals } = others.shared
      return Effect.map(refusals.claim(others.name, member.suspect, member.isForced), (claim) => {
        const now = nowMs(this.#clock)
        if (!claim.isGranted) group.claimedUntilMs = now + claimWaitMs
        group.merge(claim.known, now)
        if (claim.isProven) {
          group.isProven = true
          group.notifyChange()
        } else if (claim.isGranted) member.hasClaim = true
        return claim.isGranted
      })
    })
  }

  get isBlocked(): boolean {
    return this.#group.isOneAtATime(this.#member) && this.#group.permitHolder !== this.#member
  }

  get isRefused(): boolean {
    return this.#member.refusals > 0 || this.#group.refusals > 0
  }

  get isGroupBlocked(): boolean {
    return this.#group.suspects.size >= suspectsToBlock
  }

  get isFull(): boolean {
    return this.#group.isFull
  }

  get othersLive(): number {
    return this.#group.live - Number(this.#member.isLive)
  }

  tryNow(): void {
    // a camera that does not wait needs no permission
    if (!this.#group.waiting.has(this.#member)) return
    this.#member.mayTryNow = true
    this.#group.notifyChange()
  }

  accepted(isProof = true): void {
    const group = this.#group
    const member = this.#member
    group.setActivity(member, { isLive: true })
    member.isUnproven = !isProof
    if (!isProof) return
    const isRelease = group.isOneAtATime(member)
    if (isRelease || group.suspects.size > 0) {
      member.hasClaim = false
      group.report({ _tag: "Accepted" })
    }
    member.wasAccepted = true
    member.refused = undefined
    member.refusals = 0
    if (isRelease) group.release()
    else group.markProven()
    group.releasePermit(member)
    group.notifyChange()
  }

  ended(): void {
    const group = this.#group
    if (!this.#member.isLive || group.policy.isSinglePass) return
    group.setActivity(this.#member, { isLive: false })
    this.#member.isUnproven = false
    group.releasePermit(this.#member)
    this.#conclude({ _tag: "Released" })
    if (group.live === 0) {
      group.requireProof()
      group.report({ _tag: "Ended", delayMs: this.#delayMs(1) })
    }
    // the device may accept another camera now
    const soonMs = nowMs(this.#clock) + this.#delayMs(1)
    for (const { refused } of [group, ...group.members]) {
      if (refused === undefined) continue
      refused.untilMs = Math.min(refused.untilMs, Math.max(soonMs, refused.soonMs))
    }
    group.notifyChange()
  }

  #delayMs(refusals: number): number {
    const { policy, wasAccepted } = this.#group
    const last = policy.lastDelay()
    const delay = wasAccepted ? policy.delays()[refusals - 1] : undefined
    return Duration.toMillis(delay === undefined ? last : Duration.min(delay, last))
  }

  refused(reason: Reason, least = Duration.zero): void {
    const group = this.#group
    const member = this.#member
    const now = nowMs(this.#clock)
    group.setActivity(member, { isLive: false })
    member.isUnproven = false
    const refusedAfter = (refusals: number): Refused<Reason> => ({
      by: member.id,
      reason,
      atMs: now,
      untilMs: now + Math.max(this.#delayMs(refusals), Duration.toMillis(least)),
      soonMs: now + Math.max(this.#delayMs(1), Duration.toMillis(least))
    })
    group.suspects.set(member.suspect, member.wasAccepted)
    member.refused = refusedAfter(++member.refusals)
    // the first refusal blocks no other camera
    group.refused = refusedAfter(Math.max(1, group.refusals++))
    member.hasClaim = false
    group.report({
      _tag: "Refused",
      camera: member.suspect,
      by: member.id,
      code: group.others?.shared.codeOf(reason) ?? "",
      wasAccepted: member.wasAccepted,
      delayMs: group.refused.untilMs - now
    })
    // a camera that got the permit because this attempt was slow returns it before it tries
    group.permitHolder = undefined
    if (group.live === 0) group.requireProof()
    group.notifyChange()
  }
}
