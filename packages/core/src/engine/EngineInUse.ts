/**
 * Which engine a camera gets, of those that its choice allows.
 *
 * The first one, until it meets something that it does not support; then the next. One that stands by and
 * can't start (no ffmpeg on this machine) is no reason to lose a camera: the first then does what it can.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Reason } from "../camera/Reason.ts"
import type { Engine } from "./Engine.ts"

export interface EngineInUse {
  readonly engine: Engine
  /** Whether another engine takes over where this one meets something that it does not support. */
  readonly canHandOver: boolean
  /** Begins a new attempt: an engine that could not start gets another chance. */
  readonly begin: () => void
  /**
   * Takes a failure of the engine in use. `TryNext`: another engine is in use now; try it at once.
   * `GiveUp`: none is left, and `reason` tells best what is wrong.
   */
  readonly onFailure: <R extends Reason>(reason: R) => Verdict<R>
}

export type Verdict<R extends Reason> =
  | {
      readonly _tag: "TryNext"
      /** For the log; `undefined` where it was told before. */
      readonly told: string | undefined
    }
  | { readonly _tag: "GiveUp"; readonly reason: R }

export const make = (engines: NonEmptyReadonlyArray<Engine>): EngineInUse => {
  let rank = 0
  /** Why the engine that stands by could not start, in this attempt. */
  let standby: { readonly rank: number; readonly reason: Reason } | undefined
  const told = new Set<string>()

  const current = (): Engine => engines[rank] ?? engines[0]
  const canHandOver = () => standby === undefined && rank + 1 < engines.length

  const tryNext = (line: string) => {
    const isNews = !told.has(line)
    told.add(line)
    return { _tag: "TryNext", told: isNews ? line : undefined } as const
  }

  return {
    get engine() {
      return current()
    },
    get canHandOver() {
      return canHandOver()
    },
    begin: () => {
      if (standby !== undefined) rank = standby.rank
      standby = undefined
    },
    onFailure: <R extends Reason>(reason: R): Verdict<R> => {
      const { name } = current()
      if (reason._tag === "Unsupported" && canHandOver()) {
        rank++
        return tryNext(`${reason.what}: not supported by ${name}, taking ${current().name}`)
      }
      if (reason._tag === "StartFailed" && rank > 0) {
        standby = { rank, reason }
        rank = 0
        return tryNext(`${reason.message}; ${current().name} does what it can`)
      }
      // that the first can't do it was known; why the other one can't is the news
      const best = reason._tag === "Unsupported" && standby !== undefined ? standby.reason : reason
      return { _tag: "GiveUp", reason: best as R }
    }
  }
}
