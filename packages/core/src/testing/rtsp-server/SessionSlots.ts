/** Limits the concurrent sessions of readers, as cameras and recorders do. */
import * as Duration from "effect/Duration"
import type { Timers } from "./Timers.ts"

/** The limit of reader sessions, and the response beyond it. */
export interface SessionLimit {
  readonly most: number
  /** The response to a `DESCRIBE` or `SETUP` of another session. 401: with a challenge, as after a wrong password. */
  readonly status: 401 | 453 | 500 | 503
  /** The method that is rejected. Default DESCRIBE. */
  readonly at?: "DESCRIBE" | "SETUP" | undefined
  /** The maximum number of connections that have sent DESCRIBE and do not play yet. Default: no limit. */
  readonly starting?: number | undefined
  /** How long a session is kept after its connection was lost without `TEARDOWN`. Default: not at all. */
  readonly keepsLost?: Duration.Input | undefined
  /** Whether another connection may end a kept session by `TEARDOWN`. Default true. */
  readonly endsKept?: boolean | undefined
}

export class SessionSlots {
  readonly #limit: SessionLimit | undefined
  readonly #timers: Timers
  readonly #held = new Set<string>()
  /** The connections that do not play yet. */
  readonly #starting = new Set<number>()
  /** The kept sessions of lost connections, with functions that cancel their expiry. */
  readonly #kept = new Map<string, () => void>()

  constructor(limit: SessionLimit | undefined, timers: Timers) {
    this.#limit = limit
    this.#timers = timers
  }

  /** The status for another session at a method of a connection; `undefined` if it is served. */
  rejection(method: string, connection: number): number | undefined {
    const limit = this.#limit
    if (limit === undefined) return undefined
    if (method === "DESCRIBE" && !this.#starting.has(connection)) {
      if (this.#starting.size >= (limit.starting ?? Infinity)) return limit.status
      this.#starting.add(connection)
    }
    if (method !== (limit.at ?? "DESCRIBE")) return undefined
    return this.#held.size < limit.most ? undefined : limit.status
  }

  /** Sessions of readers, with those that are kept. */
  get count(): number {
    return this.#held.size
  }

  /** Removes a connection that plays or has ended. */
  leaveStart(connection: number): void {
    this.#starting.delete(connection)
  }

  hold(session: string): void {
    this.#held.add(session)
  }

  free(session: string): void {
    this.#kept.get(session)?.()
    this.#kept.delete(session)
    this.#held.delete(session)
  }

  /** Handles the lost connection of a session. */
  lose(session: string): void {
    const keepsLost = this.#limit?.keepsLost
    if (keepsLost === undefined) return this.free(session)
    if (!this.#held.has(session)) return
    this.#kept.set(
      session,
      this.#timers.after(keepsLost, () => this.free(session))
    )
  }

  /** Ends a kept session; `false` if there is none, or only its own connection may end it. */
  endKept(session: string): boolean {
    if (this.#limit?.endsKept === false || !this.#kept.has(session)) return false
    this.free(session)
    return true
  }
}
