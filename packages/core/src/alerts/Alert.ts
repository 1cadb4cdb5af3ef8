/** Alerts as they are delivered: data without secrets. */
import type { CameraId } from "../camera/Camera.ts"

/**
 * - `opened`: a problem has lasted for `alerts.after`.
 * - `updated`: more cameras have joined an open alert.
 * - `resolved`: all problems of the alert are resolved.
 * - `test`: sent by `restream alerts test`; nothing is wrong.
 */
export type AlertEvent = "opened" | "updated" | "resolved" | "test"

export type Severity = "critical" | "warning"

/** The severity of a kind of alert, or of a family of problems. */
export const severityOf = (kind: string): Severity =>
  kind === "invalid" || kind === "flapping" || kind === "test" ? "warning" : "critical"

export interface AlertCamera {
  readonly id: CameraId
  readonly name: string
  /** The path on the media server; an invalid camera has none. */
  readonly path: string | undefined
  /** Since when the camera is not live, in milliseconds since 1970. */
  readonly since: number
  /** Why, in one line. */
  readonly reason: string
}

export interface Alert {
  readonly event: AlertEvent
  /** The same for all events of one alert, and never reused. */
  readonly id: string
  /** Identifies the problem: the same when the problem recurs, even after a restart. */
  readonly key: string
  /** `media-server`, `database`, `cluster`, `invalid`, `flapping`, or the tag of a reason: `Refused`, … */
  readonly kind: string
  readonly severity: Severity
  /** The problem and its location, in one line: `32 cameras at 10.0.0.9:554: connection refused by 10.0.0.9:554`. */
  readonly title: string
  /** What to do. */
  readonly advice: string
  /** The node of the cluster that sends the alert; `undefined` without a cluster. */
  readonly node: string | undefined
  /** The `host:port` that all the cameras share; `undefined` where they have several. */
  readonly host: string | undefined
  /** When the first of the cameras went down, in milliseconds since 1970. */
  readonly since: number
  /** In milliseconds since 1970. */
  readonly openedAt: number
  /** In milliseconds since 1970; `undefined` while the alert is open. */
  readonly resolvedAt: number | undefined
  /** How many cameras the alert affects. */
  readonly count: number
  /** The first 100 of them. */
  readonly cameras: ReadonlyArray<AlertCamera>
}

/** The alert that `restream alerts test` sends. @param now in milliseconds since 1970. */
export const testAlert = (id: string, now: number): Alert => ({
  event: "test",
  id,
  key: "test",
  kind: "test",
  severity: "warning",
  title: "Test alert from restream",
  advice: "Nothing is wrong; alerts reach this webhook.",
  node: undefined,
  host: undefined,
  since: now,
  openedAt: now,
  resolvedAt: undefined,
  count: 0,
  cameras: []
})
