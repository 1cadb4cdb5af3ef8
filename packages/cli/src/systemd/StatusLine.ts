/** The status line of `systemctl status`: `50 cameras: 48 live, 2 unreachable`. Pure. */
import { CameraState } from "@restream/core"

export type Tally = Readonly<Partial<Record<CameraState.Tag, number>>>

/** The content of the status line; workers send it to their parent. */
export interface StatusView {
  readonly tally: Tally
  /** Whether the list of cameras has been read. */
  readonly isReady: boolean
  /** Why the list cannot be read, or why a node cannot take part in its cluster. */
  readonly sourceProblem: string | undefined
  /** Whether this is a node that has not joined its cluster yet. */
  readonly isJoining?: boolean
  /** The daemon that relays the cameras while this one is a standby. */
  readonly activeDaemon: string | undefined
}

export const statusLine = ({
  activeDaemon,
  isJoining = false,
  isReady,
  sourceProblem,
  tally
}: StatusView): string => {
  const counts = CameraState.tags.flatMap((tag) =>
    tally[tag] === undefined ? [] : [[tag, tally[tag]] as const]
  )
  const total = counts.reduce((sum, [, count]) => sum + count, 0)
  const states = counts.map(([tag, count]) => `${count} ${tag.toLowerCase()}`).join(", ")
  const cameras =
    activeDaemon !== undefined
      ? `standby; the cameras are relayed by ${activeDaemon}`
      : isReady
        ? `${total} cameras${states === "" ? "" : `: ${states}`}`
        : isJoining
          ? "joining the cluster"
          : "waiting for the first snapshot of the camera table"
  return sourceProblem === undefined ? cameras : `${cameras}; ${sourceProblem}`
}
