/**
 * The sessions that cameras may still keep after a lost connection.
 *
 * A camera that serves one session refuses the next one until the lost one expires, or until it is ended by
 * TEARDOWN on the new connection.
 */
import {
  DeviceFull,
  fullStatuses,
  type ProbeReason,
  type RelayReason
} from "../../camera/Reason.ts"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import * as Redacted from "effect/Redacted"
import type { LeftSession } from "../../rtsp/client/ReaderSession.ts"

interface Kept extends LeftSession {
  /** By the monotonic clock, in milliseconds. */
  readonly expiresMs: number
}

/** By the camera's URL. Times are readings of the monotonic clock in milliseconds. */
export class KeptSessions {
  readonly #byUrl = new Map<string, Kept>()

  /** The session that the camera may still keep. */
  get(url: StreamUrl, nowMs: number): LeftSession | undefined {
    const kept = this.#byUrl.get(keyOf(url))
    return kept !== undefined && kept.expiresMs > nowMs ? kept : undefined
  }

  /** Notes a session that ended without a response to TEARDOWN. */
  add(url: StreamUrl, left: LeftSession, nowMs: number): void {
    for (const [key, { expiresMs }] of this.#byUrl) if (expiresMs <= nowMs) this.#byUrl.delete(key)
    this.#byUrl.set(keyOf(url), { ...left, expiresMs: nowMs + left.timeoutSeconds * 1000 })
  }

  /** Removes the session: the camera serves a new one. */
  delete(url: StreamUrl): void {
    this.#byUrl.delete(keyOf(url))
  }

  /** Replaces the reason of a refusal by `DeviceFull` if the camera may still keep a session. */
  explain<R extends ProbeReason | RelayReason>(
    url: StreamUrl,
    reason: R,
    nowMs: number
  ): R | DeviceFull {
    const kept = this.#byUrl.get(keyOf(url))
    if (kept === undefined || kept.expiresMs <= nowMs) return reason
    if (reason._tag !== "Rejected" || !fullStatuses.has(reason.status)) return reason
    return new DeviceFull({ status: reason.status, keptForMs: Math.ceil(kept.expiresMs - nowMs) })
  }
}

const keyOf = (url: StreamUrl): string => Redacted.value(url.withoutUserInfo)
