/**
 * Protection from mass mistakes: a set of cameras that would stop too many relays at once is held until further reads
 * confirm it.
 *
 * A wrong WHERE clause, an emptied table or a query with other ids looks like a deliberate DELETE. A deliberate
 * DELETE is only delayed; a mistake that is corrected in time stops no relay.
 */
import * as Duration from "effect/Duration"
import type { CameraId } from "../camera/Camera.ts"
import type { Action, LastApplied } from "./Diff.ts"

export interface MassStopPolicy {
  /** The share of the relays that may stop at once. 1 disables the protection. */
  readonly maxStopFraction: number
  /** How long a camera must be missing from all reads before it counts as removed. */
  readonly massStopDelay: Duration.Duration
}

/** Fewer relays are always stopped at once, even if they are all relays. */
export const fewestHeld = 10

/** A set that is not applied yet. */
export interface Hold {
  /** The cameras whose relays the set would stop. */
  readonly stops: ReadonlyArray<CameraId>
  /** How many cameras are relayed. */
  readonly relays: number
  /** The delay after which the cameras have to be read again. */
  readonly recheckAfter: Duration.Duration
}

export class MassStopGuard {
  /** Since when each camera has been missing from every read, by a monotonic clock. */
  #missingSince: ReadonlyMap<CameraId, number> = new Map()

  /**
   * Decides whether the actions of a set are held. `undefined`: apply them.
   *
   * The delay is counted per camera, so a table that changes meanwhile does not prolong it.
   *
   * @param nowMs by a monotonic clock.
   */
  decide(
    applied: LastApplied,
    actions: ReadonlyArray<Action>,
    { massStopDelay, maxStopFraction }: MassStopPolicy,
    nowMs: number
  ): Hold | undefined {
    const stops = stopped(applied, actions)
    const before = this.#missingSince
    this.#missingSince = new Map(stops.map((id) => [id, before.get(id) ?? nowMs]))
    const relays = [...applied.values()].filter(({ _tag }) => _tag === "Camera").length
    const delayMs = Duration.toMillis(massStopDelay)
    const remainingMs = [...this.#missingSince.values()]
      .map((since) => since + delayMs - nowMs)
      .filter((remaining) => remaining > 0)
    if (remainingMs.length < fewestHeld || remainingMs.length <= maxStopFraction * relays) {
      this.#missingSince = new Map()
      return undefined
    }
    const least = remainingMs.reduce((a, b) => Math.min(a, b))
    return { stops, relays, recheckAfter: Duration.millis(least) }
  }
}

/** The relayed cameras that the actions would stop without a restart. */
const stopped = (applied: LastApplied, actions: ReadonlyArray<Action>): ReadonlyArray<CameraId> =>
  actions.flatMap((action) => {
    const id =
      action._tag === "Stop"
        ? action.id
        : action._tag === "Invalidate"
          ? action.camera.id
          : undefined
    return id !== undefined && applied.get(id)?._tag === "Camera" ? [id] : []
  })
