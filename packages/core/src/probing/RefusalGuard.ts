/**
 * Stops each camera of a device from repeating a request that the device refused to another camera.
 *
 * Cameras that share something at a device, such as an account, form a group (`RefusalGroup.ts`). A refusal to one
 * camera may be about its channel, so only that camera waits. A refusal to a second camera is about what they
 * share, and blocks the group. Then one camera asks at a time, after a delay that grows with each refusal. The camera
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
  type Refused,
  suspectsToBlock
} from "./RefusalGroup.ts"
import type { Outcome, RefusalsService } from "./Refusals.ts"

export { longestAttempt }

/** How a group of cameras treats refusals. */
export interface Policy<Key, Reason> {
  /**
   * Whether one camera asks at a time until the device has accepted one, and again after a refusal while no
   * camera of the group is live.
   */
  readonly provesFirst: boolean
  /** Whether each camera asks once, as in a check: then a group that the device accepted is never blocked. */
  readonly isSinglePass: boolean
  /** Delays after the first, second, … refusal in a row, if the device accepted a camera of the group before. */
  readonly delays: () => ReadonlyArray<Duration.Duration>
  /** The delay after further refusals, and after each one if the device never accepted a camera. */
  readonly lastDelay: () => Duration.Duration
  /** The reason of a camera that waits because of a refusal to another one. */
  readonly sharedReason: (reason: Reason, refusedFor: CameraId) => Reason
  /** How many cameras of a group may ask or be live at a time; read when it applies. Default: any number. */
  readonly most?: (key: Key) => number
  /** What other daemons with cameras of the same groups know. Default: there are none. */
  readonly shared?: Shared<Key, Reason> | undefined
}

export interface Shared<Key, Reason> {
  readonly refusals: RefusalsService
  readonly nameOf: (key: Key) => Redacted.Redacted
  readonly codeOf: (reason: Reason) => string
  readonly reasonOf: (code: string) => Reason
}

/** Why a camera has to wait. */
export interface Refusal<Reason> {
  readonly reason: Reason
  /** When the camera may ask again, in milliseconds since 1970. */
  readonly until: number
}

/** A camera's membership in its group. */
export interface Lease<Reason> {
  /**
   * Runs an effect when the camera may ask the device, and lets no other camera of an unproven or blocked group
   * ask meanwhile, unless the effect takes longer than {@link longestAttempt}.
   *
   * Fails without running the effect if the attempt of another camera failed meanwhile for a reason that holds
   * for the whole host: with the same error, so all effects of a group have to fail in one way.
   *
   * @param onWait runs when the camera has to wait, and whenever the reason changes: a refusal, or `undefined`
   * while another camera asks. If it fails, the wait ends.
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
  /** Whether as many cameras ask or are live as may. */
  readonly isFull: boolean
  /** How many other cameras of the group are live. */
  readonly othersLive: number
  /**
   * Asks the other daemons right before the camera asks the device, unless a camera of its group is live. `false`:
   * the camera has lost its permit, because the device refused them, or because one of them asks.
   */
  readonly claim: Effect.Effect<boolean>
  /** Lets the camera ask once in spite of a refusal: an operator requested it. */
  tryNow(): void
  /**
   * Records that the device accepted the camera, which is live until {@link ended}.
   *
   * @param isProof whether refusals before are disproved. Default true. Otherwise the camera keeps its permit
   * until the device accepts or refuses the rest.
   */
  accepted(isProof?: boolean): void
  /** Records the end of what the device accepted. */
  ended(): void
  /**
   * Records that the device refused the camera.
   *
   * @param least the least delay, if the device says that it has to be long.
   */
  refused(reason: Reason, least?: Duration.Duration): void
}

/** How long a group waits while another daemon asks. */
const elsewhereMs = 250

/** The interval at which a full group reads its limit again: a reload of the settings may have raised it. */
const limitCheck = Duration.seconds(30)

export interface RefusalGuard<Key, Reason> {
  /**
   * A camera's lease, for as long as the scope. What is known of a group goes with its last camera.
   *
   * @param key what the camera shares with others; `undefined`: nothing, it is a group of its own.
   * @param address of a camera with several that share the key. Default: it has one.
   */
  readonly acquire: (
    id: CameraId,
    key: Key | undefined,
    address?: string
  ) => Effect.Effect<Lease<Reason>, never, Scope.Scope>
  /** Learns what other daemons know of the groups that are refused here: they may have been accepted there. */
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
    for (const [name, each] of known) refused.get(name)?.learn(each, now)
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
      isAsking: false,
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

  #shown({ by, reason }: Refused<Reason>): Refusal<Reason> {
    const untilMs = this.#group.refusedUntilMs(this.#member)
    const own = this.#member.refused
    return {
      reason: own?.reason ?? this.#group.policy.sharedReason(reason, by),
      until: this.#clock.currentTimeMillisUnsafe() + untilMs - nowMs(this.#clock)
    }
  }

  /** Waits for the permit; gives the failure of another camera that makes the attempt needless. */
  #awaitPermit<E, R>(
    onWait: (refusal: Refusal<Reason> | undefined) => Effect.Effect<void, E, R>
  ): Effect.Effect<Failure | undefined, E, R> {
    return Effect.gen({ self: this }, function* () {
      const group = this.#group
      const member = this.#member
      const { hostFailure } = group
      let shown: Refused<Reason> | undefined | null = null
      for (;;) {
        // One reading of the clock decides a whole round. With a second one the delay could end between
        // the two: too late to acquire the permit, too early to wait for the time that is left.
        const now = nowMs(this.#clock)
        if (group.tryAcquire(member, now)) return undefined
        if (group.hostFailure !== hostFailure) return group.hostFailure
        const refused = group.refusalOf(member)
        if (refused !== shown) {
          shown = refused
          yield* onWait(refused === undefined ? undefined : this.#shown(refused))
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
    group.set(this.#member, { isAsking: false })
    if (!this.#member.isUnproven) {
      group.passOn(this.#member)
      this.#conclude({ _tag: "Released" })
    }
    // a failure that came from another camera is not passed on
    if (!wasWaiting && isFailureOfHost(exit)) group.hostFailure = exit
    group.tellChange()
  }

  withPermit<E2, R2>(
    onWait: (refusal: Refusal<Reason> | undefined) => Effect.Effect<void, E2, R2>
  ) {
    return <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | E2, R | R2> =>
      Effect.onExit(
        Effect.suspend(() => {
          this.#group.waiting.add(this.#member)
          // most need not wait
          return this.#group.tryAcquire(this.#member, nowMs(this.#clock))
            ? effect
            : Effect.flatMap(
                this.#awaitPermit(onWait),
                (instead): Effect.Effect<A, E, R> => instead ?? effect
              )
        }),
        (exit) => Effect.sync(() => this.#release(exit))
      )
  }

  /** Tells the outcome of an attempt to the daemons that wait for it. */
  #conclude(outcome: Outcome): void {
    if (!this.#member.hasClaim) return
    this.#member.hasClaim = false
    this.#group.tell(outcome)
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
        if (!claim.isGranted) group.elsewhereUntilMs = now + elsewhereMs
        group.learn(claim.known, now)
        if (claim.isProven) {
          group.isProven = true
          group.tellChange()
        } else if (claim.isGranted) member.hasClaim = true
        return claim.isGranted
      })
    })
  }

  get isBlocked(): boolean {
    return this.#group.isOneAtATime(this.#member) && this.#group.trying !== this.#member
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
    // a camera that does not wait asks without a request
    if (!this.#group.waiting.has(this.#member)) return
    this.#member.mayTryNow = true
    this.#group.tellChange()
  }

  accepted(isProof = true): void {
    const group = this.#group
    const member = this.#member
    group.set(member, { isLive: true })
    member.isUnproven = !isProof
    if (!isProof) return
    const isRelease = group.isOneAtATime(member)
    if (isRelease || group.suspects.size > 0) {
      member.hasClaim = false
      group.tell({ _tag: "Accepted" })
    }
    member.wasAccepted = true
    member.refused = undefined
    member.refusals = 0
    if (isRelease) group.release()
    else group.prove()
    group.passOn(member)
    group.tellChange()
  }

  ended(): void {
    const group = this.#group
    if (!this.#member.isLive || group.policy.isSinglePass) return
    group.set(this.#member, { isLive: false })
    this.#member.isUnproven = false
    group.passOn(this.#member)
    this.#conclude({ _tag: "Released" })
    if (group.live === 0) {
      group.doubt()
      group.tell({ _tag: "Ended", delayMs: this.#delayMs(1) })
    }
    // the device may accept another one now
    const soonMs = nowMs(this.#clock) + this.#delayMs(1)
    for (const { refused } of [group, ...group.members]) {
      if (refused === undefined) continue
      refused.untilMs = Math.min(refused.untilMs, Math.max(soonMs, refused.soonMs))
    }
    group.tellChange()
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
    group.set(member, { isLive: false })
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
    // the first refusal blocks nobody else
    group.refused = refusedAfter(Math.max(1, group.refusals++))
    member.hasClaim = false
    group.tell({
      _tag: "Refused",
      camera: member.suspect,
      by: member.id,
      code: group.others?.shared.codeOf(reason) ?? "",
      wasAccepted: member.wasAccepted,
      delayMs: group.refused.untilMs - now
    })
    // a camera that got the permit because this attempt was slow gives it back before it asks
    group.trying = undefined
    if (group.live === 0) group.doubt()
    group.tellChange()
  }
}
