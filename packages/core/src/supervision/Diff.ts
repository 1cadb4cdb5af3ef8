/** What has to be done so that what runs becomes what is wanted. Pure. */
import * as Equal from "effect/Equal"
import { type Camera, type CameraId, type InvalidCamera, relayKey } from "../camera/Camera.ts"
import type { CameraOptions } from "../camera/CameraOptions.ts"

/** Cameras by id, as they are wanted. */
export type Cameras = ReadonlyMap<CameraId, Camera | InvalidCamera>

/** A fault of our own struck in the middle of an action: what runs for the camera now, nobody knows. */
export interface Unknown {
  readonly _tag: "Unknown"
}

/** Cameras by id, as they were last applied. */
export type LastApplied = ReadonlyMap<CameraId, Camera | InvalidCamera | Unknown>

export type Action =
  | { readonly _tag: "Start"; readonly camera: Camera }
  /**
   * The address, the path or the options changed: end the relay, wait for its end, start. `changed` names
   * what did: `url`, `credentials`, `path`, or the name of an option.
   */
  | {
      readonly _tag: "Restart"
      readonly camera: Camera
      readonly changed: ReadonlyArray<string>
    }
  /** Only what people see changed. */
  | { readonly _tag: "Rename"; readonly camera: Camera }
  /** End what may run, and say what is wrong with the row. */
  | { readonly _tag: "Invalidate"; readonly camera: InvalidCamera }
  | { readonly _tag: "Stop"; readonly id: CameraId }

/** The actions that lead from what was applied to what is wanted, those that end something first. */
export const diff = (applied: LastApplied, wanted: Cameras): ReadonlyArray<Action> => {
  const ending: Array<Action> = []
  const others: Array<Action> = []
  for (const id of applied.keys()) {
    if (!wanted.has(id)) ending.push({ _tag: "Stop", id })
  }
  for (const [id, camera] of wanted) {
    const before = applied.get(id)
    if (before === camera) continue
    const action = change(before, camera)
    if (action === undefined) continue
    if (action._tag === "Invalidate") ending.push(action)
    else others.push(action)
  }
  return [...ending, ...others]
}

const change = (
  before: Camera | InvalidCamera | Unknown | undefined,
  wanted: Camera | InvalidCamera
): Action | undefined => {
  if (wanted._tag === "InvalidCamera") {
    const isKnown =
      before?._tag === "InvalidCamera" &&
      before.problem === wanted.problem &&
      isShownAlike(before, wanted)
    return isKnown ? undefined : { _tag: "Invalidate", camera: wanted }
  }
  if (before?._tag !== "Camera") {
    return { _tag: "Start", camera: wanted }
  }
  if (relayKey(before) !== relayKey(wanted)) {
    return { _tag: "Restart", camera: wanted, changed: changes(before, wanted) }
  }
  return isShownAlike(before, wanted) ? undefined : { _tag: "Rename", camera: wanted }
}

/** What a relay depends on and that differs. A URL prints itself without its credentials. */
const changes = (before: Camera, wanted: Camera): ReadonlyArray<string> => {
  const changed: Array<string> = []
  if (String(before.url) !== String(wanted.url)) changed.push("url")
  else if (!Equal.equals(before.url, wanted.url)) changed.push("credentials")
  if (before.path !== wanted.path) changed.push("path")
  const options = new Set([...Object.keys(before.options), ...Object.keys(wanted.options)])
  for (const name of options as Set<keyof CameraOptions>) {
    if (!Equal.equals(before.options[name], wanted.options[name])) changed.push(name)
  }
  return changed
}

const isShownAlike = (a: Camera | InvalidCamera, b: Camera | InvalidCamera): boolean =>
  a.name === b.name && a.type === b.type

/**
 * What stands applied after some actions were carried out and others failed.
 *
 * An action that failed may have ended something already. So its camera is unsettled, and the next pass
 * begins it anew, also where the row is then again as it was. Only a failed `Rename` has ended nothing.
 */
export const apply = (
  applied: LastApplied,
  done: ReadonlyArray<Action>,
  failed: ReadonlyArray<Action> = []
): LastApplied => {
  const result = new Map(applied)
  for (const action of done) {
    if (action._tag === "Stop") result.delete(action.id)
    else result.set(action.camera.id, action.camera)
  }
  for (const action of failed) {
    if (action._tag === "Rename") continue
    result.set(action._tag === "Stop" ? action.id : action.camera.id, { _tag: "Unknown" })
  }
  return result
}
