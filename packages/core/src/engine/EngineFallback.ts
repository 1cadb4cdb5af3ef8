/**
 * Which of a camera's engines is in use.
 *
 * The first engine, until it fails with `Unsupported`; then the next engine. If that engine cannot be launched (no
 * ffmpeg on this machine), the first engine relays what it can.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Reason } from "../camera/Reason.ts"
import type { Engine } from "./Engine.ts"

export type NextStep<R extends Reason> =
  | {
      /** Another engine is in use now: try again at once. */
      readonly _tag: "TryNext"
      /** For the log; `undefined` if it repeats the previous notice. */
      readonly notice: string | undefined
    }
  | {
      /** No engine is left; `reason` is the best explanation. */
      readonly _tag: "GiveUp"
      readonly reason: R
    }

export class EngineFallback {
  readonly #engines: NonEmptyReadonlyArray<Engine>
  #index = 0
  /** The engine that could not be launched in this attempt. */
  #unlaunched: { readonly index: number; readonly reason: Reason } | undefined
  #lastNotice: string | undefined

  /** @param engines the engines of a camera; the first is tried first. */
  constructor(engines: NonEmptyReadonlyArray<Engine>) {
    this.#engines = engines
  }

  /** The engine to try first. */
  get first(): Engine {
    return this.#engines[0]
  }

  get engine(): Engine {
    return this.#engines[this.#index] ?? this.#engines[0]
  }

  /** Whether another engine takes over if this one fails with `Unsupported`. */
  get hasFallback(): boolean {
    return this.#unlaunched === undefined && this.#index + 1 < this.#engines.length
  }

  /** Begins a new attempt: an engine that could not be launched is tried again. */
  reset(): void {
    this.#index = this.#unlaunched?.index ?? this.#index
    this.#unlaunched = undefined
  }

  /** Decides what follows a failure of the engine in use. */
  onFailure<R extends Reason>(reason: R): NextStep<R> {
    if (reason._tag === "Unsupported" && this.hasFallback) {
      const { name } = this.engine
      this.#index++
      return this.#tryNext(`${name} does not support ${reason.what}; using ${this.engine.name}`)
    }
    if (reason._tag === "LaunchFailed" && this.#index > 0) {
      this.#unlaunched = { index: this.#index, reason }
      this.#index = 0
      return this.#tryNext(`${reason.message}; ${this.engine.name} relays what it supports`)
    }
    // the launch failure of the other engine is news; the lack of support in the first engine is not
    const best = reason._tag === "Unsupported" ? (this.#unlaunched?.reason ?? reason) : reason
    return { _tag: "GiveUp", reason: best as R }
  }

  #tryNext(notice: string) {
    const isNew = notice !== this.#lastNotice
    this.#lastNotice = notice
    return { _tag: "TryNext", notice: isNew ? notice : undefined } as const
  }
}
