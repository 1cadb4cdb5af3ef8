/**
 * Stops each waiting camera of a device from requesting a session when the device serves no more sessions.
 *
 * Cameras and recorders limit their sessions, and respond to one more with 453, 500 or 503. Live cameras are
 * unaffected. Of the others one tries at a time (see `RefusalGuard`), and at once when a session ends.
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Camera } from "../camera/Camera.ts"
import { DeviceFull, fullStatuses, type Reason } from "../camera/Reason.ts"
import * as RefusalGuard from "./RefusalGuard.ts"

export type Lease = RefusalGuard.Lease<DeviceFull>

export interface SessionGuard {
  /** A camera's lease of a session of its device, released with the scope. */
  readonly acquire: (camera: Pick<Camera, "id" | "url">) => Effect.Effect<Lease, never, Scope.Scope>
}

export interface SessionLimits {
  /** The delays after refusals, read at each one. The last delay repeats. */
  readonly retryDelays: ReadonlyArray<Duration.Duration>
  /** The most sessions of a device, by host pattern; the first match applies. Default: any number. */
  readonly maxSessions?: Readonly<Record<string, number>> | undefined
}

/** @param limits read when they apply. */
export const make = (limits: () => SessionLimits): SessionGuard => {
  const guard = RefusalGuard.make<string, DeviceFull>({
    provesFirst: false,
    isSinglePass: false,
    delays: () => limits().retryDelays,
    lastDelay: () => limits().retryDelays.at(-1) ?? Duration.zero,
    sharedReason: (reason) => reason,
    most: (authority) => maxSessionsOf(authority, limits().maxSessions)
  })
  return { acquire: ({ id, url }) => guard.acquire(id, url.authority.toLowerCase()) }
}

/** The limit of the first pattern that matches the host, or the host with its port. Pure. */
export const maxSessionsOf = (
  authority: string,
  patterns: Readonly<Record<string, number>> = {}
): number => {
  const hosts = [authority, authority.replace(/:\d+$/, "")]
  const match = Object.entries(patterns).find(([pattern]) => {
    const escaped = pattern
      .trim()
      .replace(/[.+?^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
    const whole = new RegExp(`^${escaped}$`, "i")
    return hosts.some((host) => whole.test(host))
  })
  return match?.[1] ?? Infinity
}

/**
 * Whether a reason may mean that the device serves no more sessions. A defect causes the same statuses, so they
 * count only while the device serves another camera, or if the engine is certain.
 */
export const mayBeFull = (reason: Reason, { othersLive }: Lease): DeviceFull | undefined => {
  if (reason._tag === "DeviceFull") return reason
  return reason._tag === "Rejected" && fullStatuses.has(reason.status) && othersLive > 0
    ? new DeviceFull({ status: reason.status })
    : undefined
}
