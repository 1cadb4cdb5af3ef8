/** Computes the actions that lead from the last applied cameras to the desired cameras. Pure. */
import * as Equal from "effect/Equal"
import { type Camera, type CameraId, type InvalidCamera, relayKey } from "../camera/Camera.ts"
import type { CameraOptions } from "../camera/CameraOptions.ts"

/** The desired cameras by id. */
export type Cameras = ReadonlyMap<CameraId, Camera | InvalidCamera>

/** A defect interrupted an action, so it is unknown whether a relay of the camera runs. */
export interface Unknown {
  readonly _tag: "Unknown"
}

/** Cameras by id, as they were last applied. */
export type LastApplied = ReadonlyMap<CameraId, Camera | InvalidCamera | Unknown>

export type Action =
  | { readonly _tag: "Start"; readonly camera: Camera }
  /**
   * The URL, the path or the options changed: stop the relay, wait for its end, start. `changed` names the
   * differences: `url`, `credentials`, `path`, or the name of an option.
   */
  | {
      readonly _tag: "Restart"
      readonly camera: Camera
      readonly changed: ReadonlyArray<string>
    }
  /** Only the name, the type or whether alerts are sent changed. */
  | { readonly _tag: "Rename"; readonly camera: Camera }
  /** Stop the relay, if one runs, and report the problem of the row. */
  | { readonly _tag: "Invalidate"; readonly camera: InvalidCamera }
  | { readonly _tag: "Stop"; readonly id: CameraId }

/**
 * The actions that lead from the applied to the desired cameras. Actions that stop a relay come first.
 *
 * @param isOurs the desired cameras that this daemon relays. Default: all.
 */
export const diff = (
  applied: LastApplied,
  desired: Cameras,
  isOurs: (id: CameraId) => boolean = () => true
): ReadonlyArray<Action> => {
  const ending: Array<Action> = []
  const others: Array<Action> = []
  for (const id of applied.keys()) {
    if (!desired.has(id) || !isOurs(id)) ending.push({ _tag: "Stop", id })
  }
  for (const [id, camera] of desired) {
    const before = applied.get(id)
    if (before === camera || !isOurs(id)) continue
    const action = change(before, camera)
    if (action === undefined) continue
    if (action._tag === "Invalidate") ending.push(action)
    else others.push(action)
  }
  return [...ending, ...others]
}

/** The actions after this daemon gained or lost some cameras, without any other change. */
export const diffOwnership = (
  ids: Iterable<CameraId>,
  applied: LastApplied,
  desired: Cameras,
  isOurs: (id: CameraId) => boolean
): ReadonlyArray<Action> => {
  const actions: Array<Action> = []
  for (const id of ids) {
    if (applied.has(id)) {
      if (!isOurs(id)) actions.push({ _tag: "Stop", id })
      continue
    }
    const camera = desired.get(id)
    const action = camera !== undefined && isOurs(id) ? change(undefined, camera) : undefined
    if (action !== undefined) actions.push(action)
  }
  return actions
}

const change = (
  before: Camera | InvalidCamera | Unknown | undefined,
  desired: Camera | InvalidCamera
): Action | undefined => {
  if (desired._tag === "InvalidCamera") {
    const isKnown =
      before?._tag === "InvalidCamera" &&
      before.problem === desired.problem &&
      hasSameNames(before, desired)
    return isKnown ? undefined : { _tag: "Invalidate", camera: desired }
  }
  if (before?._tag !== "Camera") {
    return { _tag: "Start", camera: desired }
  }
  if (relayKey(before) !== relayKey(desired)) {
    return { _tag: "Restart", camera: desired, changed: changes(before, desired) }
  }
  return hasSameNames(before, desired) ? undefined : { _tag: "Rename", camera: desired }
}

/** The differences that require a restart of the relay. `String(url)` omits the credentials. */
const changes = (before: Camera, desired: Camera): ReadonlyArray<string> => {
  const changed: Array<string> = []
  if (String(before.url) !== String(desired.url)) changed.push("url")
  else if (!Equal.equals(before.url, desired.url)) changed.push("credentials")
  if (!Equal.equals(before.backups, desired.backups)) changed.push("backup addresses")
  if (before.path !== desired.path) changed.push("path")
  if (before.mediaServer?.key !== desired.mediaServer?.key) changed.push("media server")
  const options = new Set([...Object.keys(before.options), ...Object.keys(desired.options)])
  for (const name of options as Set<keyof CameraOptions>) {
    if (!Equal.equals(before.options[name], desired.options[name])) changed.push(name)
  }
  return changed
}

const hasSameNames = (a: Camera | InvalidCamera, b: Camera | InvalidCamera): boolean =>
  a.name === b.name && a.type === b.type && a.isMuted === b.isMuted

/**
 * The applied cameras after some actions succeeded and others failed.
 *
 * A failed action may have stopped the relay already. So the state of the camera is unknown, and the next
 * reconciliation starts the camera again, even if its row is unchanged. Only a failed `Rename` stops no relay.
 */
export const apply = (
  applied: LastApplied,
  done: ReadonlyArray<Action>,
  failed: ReadonlyArray<Action> = []
): LastApplied => {
  const result = new Map(applied)
  applyTo(result, done, failed)
  return result
}

/** Like {@link apply}, in place. */
export const applyTo = (
  result: Map<CameraId, Camera | InvalidCamera | Unknown>,
  done: ReadonlyArray<Action>,
  failed: ReadonlyArray<Action> = []
): void => {
  for (const action of done) {
    if (action._tag === "Stop") result.delete(action.id)
    else result.set(action.camera.id, action.camera)
  }
  for (const action of failed) {
    if (action._tag === "Rename") continue
    result.set(action._tag === "Stop" ? action.id : action.camera.id, { _tag: "Unknown" })
  }
}
