/**
 * Keeps what a device refused from being asked for again by each camera of that device.
 *
 * Cameras that share something at a device, such as an account, form a group. A refusal to one camera may be
 * about its channel, so that camera alone waits. A refusal to a second one is about what they share: the group
 * is blocked. Then one camera asks at a time, after a delay that grows with each refusal, the one first whose
 * last attempt is the oldest; the first that the device accepts releases all.
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
import type { Known, Outcome, RefusalsService } from "./Refusals.ts"

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

/** A group's permit passes to another camera after this time: a device that is silent for longer hangs. */
export const longestAttempt = Duration.seconds(5)

/** This many cameras have to be refused before their group is blocked. */
const suspectsToBlock = 2

/** How long a group waits while another daemon asks. */
const elsewhereMs = 250

interface Refused<Reason> {
  readonly by: CameraId
  readonly reason: Reason
  /** When the device refused it, by the monotonic clock. */
  readonly atMs: number
  /** By the monotonic clock. */
  untilMs: number
  /** The same for a camera that was not refused, while another one is live. */
  readonly soonMs: number
}

interface Member<Reason> {
  readonly id: CameraId
  /** Tells it from the others in {@link Group.suspects}. */
  readonly suspect: string
  /** The start of its last attempt, by the monotonic clock. */
  triedMs: number
  /** Its last refusal, until the device accepts it or its group is released. */
  refused: Refused<Reason> | undefined
  /** Its refusals in a row. */
  refusals: number
  wasAccepted: boolean
  isLive: boolean
  isAsking: boolean
  /** Whether the device accepted it in part, which disproves no refusal. */
  isUnproven: boolean
  mayTryNow: boolean
  /** Whether it asks because an operator requested it. */
  isForced: boolean
  /** Whether the other daemons wait for the outcome of its attempt. */
  hasClaim: boolean
}

/** The other daemons, for one group. */
interface Others<Reason> {
  readonly name: Redacted.Redacted
  readonly shared: Shared<any, Reason>
}

/** Cameras that share something at a device. All state of the group is here, and changes in single steps. */
class Group<Reason> {
  readonly members = new Set<Member<Reason>>()
  readonly waiting = new Set<Member<Reason>>()
  /**
   * The cameras, by their addresses, that were refused since the device last accepted one, and whether it ever
   * accepted them. One that left still counts: the device counts as well.
   */
  readonly suspects = new Map<string, boolean>()
  /** The last refusal since the device accepted a member. */
  refused: Refused<Reason> | undefined
  /** Refusals since the device last accepted a member. */
  refusals = 0
  live = 0
  wasAccepted = false
  isProven: boolean
  readonly policy: Policy<any, Reason>
  readonly most: () => number
  /** Members that ask or are live. */
  occupied = 0
  /** Until when another daemon asks, by the monotonic clock. */
  elsewhereUntilMs = -Infinity
  readonly others: Others<Reason> | undefined
  /** The member that asks, while only one may. */
  trying: Member<Reason> | undefined
  hostFailure: Failure | undefined
  /** Done at the next change of any of these. */
  changed = Deferred.makeUnsafe<void>()

  constructor(
    policy: Policy<any, Reason>,
    most: () => number,
    others: Others<Reason> | undefined = undefined
  ) {
    this.most = most
    this.others = others
    this.policy = policy
    this.isProven = !policy.provesFirst
  }

  tell(outcome: Outcome): void {
    this.others?.shared.refusals.tell(this.others.name, outcome)
  }

  /** Takes over what other daemons know. */
  learn(known: Known | undefined, now: number): void {
    const { others } = this
    if (known === undefined || others === undefined) return
    const { acceptedAgoMs, last, refusals, suspects } = known
    if (acceptedAgoMs !== undefined) this.wasAccepted = true
    const before = this.refused
    if (
      before !== undefined &&
      acceptedAgoMs !== undefined &&
      suspects.size === 0 &&
      now - acceptedAgoMs > before.atMs
    ) {
      this.release()
      return this.tellChange()
    }
    if (last === undefined) return
    for (const [suspect, wasAccepted] of suspects) this.suspects.set(suspect, wasAccepted)
    this.refusals = Math.max(this.refusals, refusals)
    const untilMs = now + last.untilInMs
    // the same refusal keeps its identity: a camera that waits gets each refusal once
    if (untilMs > now && before?.by === last.by) before.untilMs = untilMs
    else if (untilMs > now) {
      const reason = others.shared.reasonOf(last.code)
      this.refused = { by: last.by, reason, atMs: now, untilMs, soonMs: untilMs }
    }
    for (const member of this.members) {
      if (suspects.has(member.suspect)) member.refused ??= this.refused
    }
    if (this.live === 0) this.doubt()
    this.tellChange()
  }

  /** The device has accepted a camera: the group as a whole is refused no longer. */
  prove(): void {
    this.wasAccepted = true
    this.isProven = true
    this.refused = undefined
    this.refusals = 0
    this.suspects.clear()
  }

  /** The same, and forgets the refusals to each camera. */
  release(): void {
    this.prove()
    for (const member of this.members) member.refused = undefined
  }

  /** Forgets what the device accepted, as far as the policy wants a new proof. */
  doubt(): void {
    this.isProven = !this.policy.provesFirst
  }

  tellChange(): void {
    if (this.waiting.size === 0) return
    const { changed } = this
    // first: a fiber that resumes at once may wait for the next change before this one returns
    this.changed = Deferred.makeUnsafe()
    Deferred.doneUnsafe(changed, Effect.void)
  }

  /**
   * Whether only cameras that the device never accepted doubt the group while another one is live: then their
   * refusals are about their channels, or the device is full.
   */
  get isTrusted(): boolean {
    if (this.live === 0) return false
    let known = 0
    for (const wasAccepted of this.suspects.values()) if (wasAccepted) known++
    return known < suspectsToBlock
  }

  /** Whether the refusals to others hold for a member. */
  blocks(member: Member<Reason>): boolean {
    if (this.suspects.size < suspectsToBlock) return false
    if (this.policy.isSinglePass && this.wasAccepted) return false
    return !member.wasAccepted || !this.isTrusted
  }

  /** What keeps a member from asking. */
  refusalOf(member: Member<Reason>): Refused<Reason> | undefined {
    return this.blocks(member) ? this.refused : member.refused
  }

  /** When what keeps a member from asking ends, by the monotonic clock. */
  refusedUntilMs(member: Member<Reason>): number {
    const refused = this.refusalOf(member)
    if (refused === undefined) return -Infinity
    return this.isTrusted && !this.suspects.has(member.suspect) && refused !== member.refused
      ? Math.min(refused.soonMs, refused.untilMs)
      : refused.untilMs
  }

  isOneAtATime(member: Member<Reason>): boolean {
    return !this.isProven || this.blocks(member)
  }

  /** When a member may ask if nothing changes, by the monotonic clock. */
  freeAtMs(member: Member<Reason>): number {
    if (this.isFull) return Infinity
    const refusedUntilMs = Math.max(
      this.elsewhereUntilMs,
      member.mayTryNow ? -Infinity : this.refusedUntilMs(member)
    )
    return this.trying === undefined || !this.isOneAtATime(member)
      ? refusedUntilMs
      : Math.max(refusedUntilMs, this.trying.triedMs + longestAttemptMs)
  }

  /** Takes the permit of a member back, if it has it. */
  passOn(member: Member<Reason>): void {
    if (this.trying === member) this.trying = undefined
  }

  /** Changes what a member does. */
  set(member: Member<Reason>, change: { isAsking?: boolean; isLive?: boolean }): void {
    const before = member.isAsking || member.isLive
    if (member.isLive) this.live--
    Object.assign(member, change)
    if (member.isLive) this.live++
    this.occupied += Number(member.isAsking || member.isLive) - Number(before)
  }

  get isFull(): boolean {
    return this.occupied >= this.most()
  }

  /** Of those that may ask now, the one whose last attempt is the oldest. */
  next(now: number): Member<Reason> | undefined {
    let next: Member<Reason> | undefined
    for (const member of this.waiting) {
      if (this.freeAtMs(member) > now) continue
      if (next === undefined || member.triedMs < next.triedMs) next = member
    }
    return next
  }

  /** Gives a member the permit if it is free at `now`. */
  tryAcquire(member: Member<Reason>, now: number): boolean {
    if (now < this.freeAtMs(member)) return false
    if (this.isOneAtATime(member)) {
      if (!member.mayTryNow && this.next(now) !== member) return false
      this.trying = member
    }
    this.waiting.delete(member)
    this.set(member, { isAsking: true })
    member.triedMs = now
    member.isForced = member.mayTryNow
    member.mayTryNow = false
    return true
  }
}

/** The interval at which a full group reads its limit again: a reload of the settings may have raised it. */
const limitCheck = Duration.seconds(30)

const longestAttemptMs = Duration.toMillis(longestAttempt)

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
