/**
 * Which engine a camera gets, of those that its choice allows.
 *
 * The first one, until it meets something that it does not support; then the next. One that stands by and
 * can't start (no ffmpeg on this machine) is no reason to lose a camera: the first then does what it can.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Reason } from "../camera/Reason.ts"
import type { Engine } from "./Engine.ts"

export type NextStep<R extends Reason> =
  | {
      readonly _tag: "TryNext"
      /** For the log; `undefined` where it was told before. */
      readonly told: string | undefined
    }
  | { readonly _tag: "GiveUp"; readonly reason: R }

export class EngineFallback {
  readonly #engines: NonEmptyReadonlyArray<Engine>
  #rank = 0
  /** Why the engine that stands by could not start, in this attempt. */
  #standby: { readonly rank: number; readonly reason: Reason } | undefined
  /** What was said of it before; `undefined` for nothing. */
  #told: Set<string> | undefined

  constructor(engines: NonEmptyReadonlyArray<Engine>) {
    this.#engines = engines
  }

  get engine(): Engine {
    return this.#engines[this.#rank] ?? this.#engines[0]
  }

  /** Whether another engine takes over where this one meets something that it does not support. */
  get hasFallback(): boolean {
    return this.#standby === undefined && this.#rank + 1 < this.#engines.length
  }

  /** Begins a new attempt: an engine that could not start gets another chance. */
  begin(): void {
    if (this.#standby !== undefined) this.#rank = this.#standby.rank
    this.#standby = undefined
  }

  /**
   * Takes a failure of the engine in use. `TryNext`: another engine is in use now; try it at once.
   * `GiveUp`: none is left, and `reason` tells best what is wrong.
   */
  onFailure<R extends Reason>(reason: R): NextStep<R> {
    const { name } = this.engine
    if (reason._tag === "Unsupported" && this.hasFallback) {
      this.#rank++
      return this.#tryNext(`${reason.what}: not supported by ${name}, taking ${this.engine.name}`)
    }
    if (reason._tag === "LaunchFailed" && this.#rank > 0) {
      this.#standby = { rank: this.#rank, reason }
      this.#rank = 0
      return this.#tryNext(`${reason.message}; ${this.engine.name} does what it can`)
    }
    // that the first can't do it was known; why the other one can't is the news
    const best = reason._tag === "Unsupported" ? (this.#standby?.reason ?? reason) : reason
    return { _tag: "GiveUp", reason: best as R }
  }

  #tryNext(line: string) {
    const isNews = this.#told?.has(line) !== true
    this.#told ??= new Set()
    this.#told.add(line)
    return { _tag: "TryNext", told: isNews ? line : undefined } as const
  }
}

/** The one for a camera, the engine to try first in front. */
export const make = (engines: NonEmptyReadonlyArray<Engine>): EngineFallback =>
  new EngineFallback(engines)
