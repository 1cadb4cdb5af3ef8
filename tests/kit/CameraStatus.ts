/** The status of a camera as the status store gives it, for what is made of statuses. */
import {
  type CameraId,
  type CameraState,
  type CameraStatus,
  OperatorView,
  type Reason
} from "@restream/core"

export interface Seen {
  readonly state: CameraState.CameraState
  readonly reason?: Reason.Reason | undefined
  /** In milliseconds since 1970. Default: 0. */
  readonly since?: number
  readonly health?: CameraStatus["health"]
  readonly host?: string
  readonly mediaServer?: string
}

export const make = (
  id: string,
  { health = "good", host = "10.0.0.9:554", mediaServer, reason, since = 0, state }: Seen
): CameraStatus => ({
  id: id as CameraId,
  name: `Camera ${id}`,
  type: "url",
  path: `cam${id}`,
  ...(mediaServer !== undefined && { mediaServer }),
  address: `rtsp://${host}/live`,
  host: state._tag === "Invalid" ? undefined : host,
  state,
  problem: state._tag === "Invalid" ? state.problem : reason?.message,
  enteredAt: since,
  restarts: { total: 0, lastHour: 0 },
  stalls: { total: 0, lastHour: 0 },
  health,
  counters: { bytes: 0, packets: 0, lost: 0, dropped: 0, lastVideoAt: undefined },
  word: OperatorView.wordOf(state, reason),
  since,
  reason,
  engine: undefined,
  offer: undefined,
  probeMs: undefined,
  totals: { bytes: 0, packets: 0, lost: 0, dropped: 0 },
  lastVideoAt: undefined,
  revision: 0
})
