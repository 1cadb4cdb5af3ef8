/**
 * The state of cameras that share something at a device, such as an account: which of them were refused, which are
 * live, and which may try next.
 *
 * A state machine without effects or a clock: each method takes the time as an argument and changes the state in one
 * step. `RefusalGuard.ts` adds the leases and the waiting.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { CameraId } from "../camera/Camera.ts"
import type { Failure } from "./ProbeLimiter.ts"
import type { Known, Outcome, RefusalsService } from "./Refusals.ts"

/** How a group of cameras treats refusals. */
export interface Policy<Key, Reason> {
  /**
   * Whether one camera tries at a time until the device has accepted one, and again after a refusal while no
   * camera of the group is live.
   */
  readonly provesFirst: boolean
  /** Whether each camera tries once, as in a check: then a group that the device accepted is never blocked. */
  readonly isSinglePass: boolean
  /** Delays after the first, second, … refusal in a row, if the device accepted a camera of the group before. */
  readonly delays: () => ReadonlyArray<Duration.Duration>
  /** The delay after further refusals, and after each one if the device never accepted a camera. */
  readonly lastDelay: () => Duration.Duration
  /** The reason of a camera that waits because of a refusal to another one. */
  readonly sharedReason: (reason: Reason, refusedFor: CameraId) => Reason
  /** How many cameras of a group may try or be live at a time; read when it applies. Default: any number. */
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

/** A group's permit passes to another camera after this time: a device that is silent for longer hangs. */
export const longestAttempt = Duration.seconds(5)

const longestAttemptMs = Duration.toMillis(longestAttempt)

/** This many cameras have to be refused before their group is blocked. */
export const suspectsToBlock = 2

export interface Refused<Reason> {
  readonly by: CameraId
  readonly reason: Reason
  /** When the device refused it, by the monotonic clock. */
  readonly atMs: number
  /** By the monotonic clock. */
  untilMs: number
  /** The same for a camera that was not refused, while another one is live. */
  readonly soonMs: number
}

export interface Member<Reason> {
  readonly id: CameraId
  /** The key of the camera and its address in {@link Group.suspects}. */
  readonly suspect: string
  /** The start of the last attempt, by the monotonic clock. */
  triedMs: number
  /** The last refusal, until the device accepts the camera or the group is released. */
  refused: Refused<Reason> | undefined
  /** Consecutive refusals. */
  refusals: number
  wasAccepted: boolean
  isLive: boolean
  isTrying: boolean
  /** Whether the device accepted only a part of the requests, which disproves no refusal. */
  isUnproven: boolean
  mayTryNow: boolean
  /** Whether an operator requested the attempt. */
  isForced: boolean
  /** Whether the other daemons wait for the outcome of the attempt. */
  hasClaim: boolean
}

/** The port to the other daemons, for one group. */
export interface Others<Reason> {
  readonly name: Redacted.Redacted
  readonly shared: Shared<any, Reason>
}

/** The state of one group. */
export class Group<Reason> {
  readonly members = new Set<Member<Reason>>()
  readonly waiting = new Set<Member<Reason>>()
  /**
   * The cameras, by address, that were refused since the device last accepted a camera, and whether the device ever
   * accepted them. A camera that has left still counts, because the device counts its attempts too.
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
  /** Members that try or are live. */
  occupied = 0
  /** Until when another daemon tries, by the monotonic clock. */
  claimedUntilMs = -Infinity
  readonly others: Others<Reason> | undefined
  /** The member that has the permit, while only one member may try. */
  permitHolder: Member<Reason> | undefined
  hostFailure: Failure | undefined
  /** Done at the next change of this state. */
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

  /** Reports an outcome to the other daemons. */
  report(outcome: Outcome): void {
    this.others?.shared.refusals.tell(this.others.name, outcome)
  }

  /** Merges what the other daemons know into this state. */
  merge(known: Known | undefined, now: number): void {
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
      return this.notifyChange()
    }
    if (last === undefined) return
    for (const [suspect, wasAccepted] of suspects) this.suspects.set(suspect, wasAccepted)
    this.refusals = Math.max(this.refusals, refusals)
    const untilMs = now + last.untilInMs
    // the same refusal keeps its object, so that a waiting camera reports each refusal once
    if (untilMs > now && before?.by === last.by) before.untilMs = untilMs
    else if (untilMs > now) {
      const reason = others.shared.reasonOf(last.code)
      this.refused = { by: last.by, reason, atMs: now, untilMs, soonMs: untilMs }
    }
    for (const member of this.members) {
      if (suspects.has(member.suspect)) member.refused ??= this.refused
    }
    if (this.live === 0) this.requireProof()
    this.notifyChange()
  }

  /** Records that the device has accepted a camera, and clears the refusals to the group. */
  markProven(): void {
    this.wasAccepted = true
    this.isProven = true
    this.refused = undefined
    this.refusals = 0
    this.suspects.clear()
  }

  /** Like {@link markProven}, and clears the refusals to each camera, too. */
  release(): void {
    this.markProven()
    for (const member of this.members) member.refused = undefined
  }

  /** Requires a new proof, if the policy asks for one. */
  requireProof(): void {
    this.isProven = !this.policy.provesFirst
  }

  /** Wakes the waiting members. */
  notifyChange(): void {
    if (this.waiting.size === 0) return
    const { changed } = this
    // before doneUnsafe, because a fiber that resumes at once may already wait for the next change
    this.changed = Deferred.makeUnsafe()
    Deferred.doneUnsafe(changed, Effect.void)
  }

  /**
   * Whether a camera is live, and the device never accepted the refused cameras, but for at most one. Then the
   * refusals are about channels, or the device is full.
   */
  get isTrusted(): boolean {
    if (this.live === 0) return false
    let known = 0
    for (const wasAccepted of this.suspects.values()) if (wasAccepted) known++
    return known < suspectsToBlock
  }

  /** Whether refusals to other members keep a member from asking. */
  blocks(member: Member<Reason>): boolean {
    if (this.suspects.size < suspectsToBlock) return false
    if (this.policy.isSinglePass && this.wasAccepted) return false
    return !member.wasAccepted || !this.isTrusted
  }

  /** The refusal that keeps a member from asking. */
  refusalOf(member: Member<Reason>): Refused<Reason> | undefined {
    return this.blocks(member) ? this.refused : member.refused
  }

  /** When that refusal ends, by the monotonic clock. */
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

  /** When a member may try if nothing changes, by the monotonic clock. */
  freeAtMs(member: Member<Reason>): number {
    if (this.isFull) return Infinity
    const refusedUntilMs = Math.max(
      this.claimedUntilMs,
      member.mayTryNow ? -Infinity : this.refusedUntilMs(member)
    )
    return this.permitHolder === undefined || !this.isOneAtATime(member)
      ? refusedUntilMs
      : Math.max(refusedUntilMs, this.permitHolder.triedMs + longestAttemptMs)
  }

  /** Frees the permit, if the member has it. */
  releasePermit(member: Member<Reason>): void {
    if (this.permitHolder === member) this.permitHolder = undefined
  }

  /** Changes the activity of a member, and the counters with it. */
  setActivity(member: Member<Reason>, change: { isTrying?: boolean; isLive?: boolean }): void {
    const before = member.isTrying || member.isLive
    if (member.isLive) this.live--
    Object.assign(member, change)
    if (member.isLive) this.live++
    this.occupied += Number(member.isTrying || member.isLive) - Number(before)
  }

  get isFull(): boolean {
    return this.occupied >= this.most()
  }

  /** The member with the oldest attempt, of those that may try now. */
  next(now: number): Member<Reason> | undefined {
    let next: Member<Reason> | undefined
    for (const member of this.waiting) {
      if (this.freeAtMs(member) > now) continue
      if (next === undefined || member.triedMs < next.triedMs) next = member
    }
    return next
  }

  /** Grants a member the permit, if the permit is free at `now`. */
  tryAcquire(member: Member<Reason>, now: number): boolean {
    if (now < this.freeAtMs(member)) return false
    if (this.isOneAtATime(member)) {
      if (!member.mayTryNow && this.next(now) !== member) return false
      this.permitHolder = member
    }
    this.waiting.delete(member)
    this.setActivity(member, { isTrying: true })
    member.triedMs = now
    member.isForced = member.mayTryNow
    member.mayTryNow = false
    return true
  }
}
