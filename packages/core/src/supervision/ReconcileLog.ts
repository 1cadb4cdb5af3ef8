/** The log lines of a reconciliation: which cameras were started, restarted or stopped, and why. Pure. */
import type { Camera, CameraId, InvalidCamera } from "../camera/Camera.ts"
import { countCameras, nameSome } from "../camera/CameraNames.ts"
import type { Action, LastApplied, Cameras } from "./Diff.ts"

export interface Reconciliation {
  /** The cameras applied before. */
  readonly before: LastApplied
  readonly cameras: Cameras
  /** The disabled rows. */
  readonly disabled: { readonly size: number; readonly has: (id: CameraId) => boolean }
  readonly actions: ReadonlyArray<Action>
  /** Whether this daemon relays a camera. Default: every camera. */
  readonly isOurs?: ((id: CameraId) => boolean) | undefined
  /** Whether this daemon is a node of a cluster, where a camera may not have a relay on any node yet. Default: no. */
  readonly isNode?: boolean | undefined
}

export interface ReconcileLine {
  readonly level: "Info" | "Warn"
  readonly message: string
}

interface Member {
  readonly id: CameraId
  readonly name: string
  readonly detail?: string
}

export const describe = (reconciliation: Reconciliation): ReconcileLine => {
  const { before, cameras, disabled, isNode = false, isOurs = () => true } = reconciliation
  const disabledCount = disabled.size === 0 ? "" : ` (${disabled.size} disabled)`
  if (cameras.size === 0 && before.size > 0) {
    const relays = before.size === 1 ? "the last relay" : `all ${before.size} relays`
    return { level: "Warn", message: `camera list is empty${disabledCount}: stopping ${relays}` }
  }
  const groups = describeGroups(reconciliation)
  const what = groups.length === 0 ? "" : `: ${groups.join("; ")}`
  const further = [...cameras.values()].filter(({ substream }) => substream !== undefined).length
  const substreams =
    further === 0 ? "" : ` with ${further} further stream${further === 1 ? "" : "s"}`
  const elsewhere = describeOthers(
    cameras.size,
    [...cameras.keys()].filter((id) => !isOurs(id)).length,
    isNode
  )
  return {
    level: "Info",
    message: `${countCameras(cameras.size - further)}${substreams}${disabledCount}${elsewhere}${what}`
  }
}

/** @param others how many of the cameras this daemon does not relay. */
const describeOthers = (count: number, others: number, isNode: boolean): string => {
  if (others === 0) return ""
  const own = count - others
  return isNode
    ? `, ${own === 0 ? "none" : own} on this node`
    : `, ${own === 0 ? "all" : others} relayed by another daemon`
}

/** The notices about newly used addresses, one line per notice. */
export const notices = (actions: ReadonlyArray<Action>): ReadonlyArray<string> => {
  const groups = new Map<string, Array<Camera>>()
  for (const action of actions) {
    if (action._tag !== "Start" && action._tag !== "Restart") continue
    const { backups = [], url } = action.camera
    for (const notice of new Set([url, ...backups].map(({ notice }) => notice))) {
      if (notice === undefined) continue
      const group = groups.get(notice)
      if (group === undefined) groups.set(notice, [action.camera])
      else group.push(action.camera)
    }
  }
  return [...groups].map(
    ([notice, cameras]) =>
      `${cameras.length === 1 ? "camera" : countCameras(cameras.length) + ":"} ${nameSome(cameras)}: ${notice}`
  )
}

const describeGroups = ({
  actions,
  before,
  cameras,
  disabled
}: Reconciliation): ReadonlyArray<string> => {
  const groups = {
    started: [] as Array<Member>,
    restarted: [] as Array<Member>,
    renamed: [] as Array<Member>,
    muted: [] as Array<Member>,
    unmuted: [] as Array<Member>,
    invalid: [] as Array<Member>,
    disabled: [] as Array<Member>,
    moved: [] as Array<Member>,
    removed: [] as Array<Member>
  }
  for (const action of actions) {
    switch (action._tag) {
      case "Start":
        groups.started.push(action.camera)
        break
      case "Restart":
        groups.restarted.push({
          id: action.camera.id,
          name: action.camera.name,
          detail: `${action.changed.join(", ")} changed`
        })
        break
      case "Rename": {
        const { camera } = action
        const known = before.get(camera.id)
        const isMute = known?._tag === "Camera" && known.isMuted !== camera.isMuted
        const group = isMute
          ? camera.isMuted === true
            ? groups.muted
            : groups.unmuted
          : groups.renamed
        group.push(camera)
        break
      }
      case "Invalidate":
        groups.invalid.push(invalidMember(action.camera))
        break
      case "Stop": {
        const camera = before.get(action.id)
        const name = camera === undefined || camera._tag === "Unknown" ? action.id : camera.name
        const group = disabled.has(action.id)
          ? groups.disabled
          : cameras.has(action.id)
            ? groups.moved
            : groups.removed
        group.push({ id: action.id, name })
        break
      }
    }
  }
  return [
    verb("started", groups.started),
    verb("restarted", groups.restarted),
    verb("renamed", groups.renamed),
    verb("muted alerts of", groups.muted),
    verb("unmuted alerts of", groups.unmuted),
    subject(groups.invalid, "invalid"),
    subject(groups.disabled, "disabled"),
    subject(groups.moved, "moved to another daemon"),
    subject(groups.removed, "removed from the table")
  ].filter((text) => text !== undefined)
}

const invalidMember = ({ id, name }: InvalidCamera): Member => ({ id, name })

/** `started camera 1 "Gate"`, `started 5 cameras: 1 "Gate", 2 "Yard", 3 "Hall" and 2 more`. */
const verb = (what: string, members: ReadonlyArray<Member>): string | undefined => {
  if (members.length === 0) return undefined
  return members.length === 1
    ? `${what} camera ${nameSome(members)}`
    : `${what} ${members.length} cameras: ${nameSome(members)}`
}

/** `camera 7 "Yard" disabled`, `5 cameras disabled: 1 "Gate", 2 "Yard", 3 "Hall" and 2 more`. */
const subject = (members: ReadonlyArray<Member>, what: string): string | undefined => {
  if (members.length === 0) return undefined
  return members.length === 1
    ? `camera ${nameSome(members)} ${what}`
    : `${members.length} cameras ${what}: ${nameSome(members)}`
}
