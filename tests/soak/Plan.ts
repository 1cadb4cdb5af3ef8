/**
 * What is done to the daemon's world in one storm: drawn from a seed, so that a run can be repeated.
 *
 * Each storm has troubles of single cameras and changes of rows all the time, and one trouble of the media
 * server and one of the database, each kind in its turn.
 */

export type CameraFault =
  | "off"
  | "drop"
  | "flap"
  | "freeze"
  | "freezeVideo"
  | "silent"
  | "notFound"
  | "garbage"
  | "closeMidFrame"
  | "closeAfterSetup"
  | "unauthorized"
export type RowFault =
  | "rename"
  | "disable"
  | "replace"
  | "move"
  | "otherPath"
  | "otherEngine"
  | "badRow"
export type TableFault = "renameAll" | "notifications" | "disableAll"
export type ServerFault = "serverStop" | "serverKill" | "serverFreeze" | "serverKick"
export type DatabaseFault =
  | "databaseStop"
  | "databaseKill"
  | "databaseFreeze"
  | "databaseTerminate"
  | "tableAway"

/** Of a node that is not the measured one. */
export type NodeFault = "nodeKill" | "nodeEnd" | "nodeFreeze"

export type FaultName =
  | CameraFault
  | RowFault
  | TableFault
  | ServerFault
  | DatabaseFault
  | NodeFault

export interface Step {
  /** From the storm's beginning on. */
  readonly atMs: number
  readonly fault: FaultName
  /** The camera that it happens to, counted from 0; faults of the whole take no notice. */
  readonly camera: number
  /** After which time it is undone; faults that leave nothing to undo take no notice. */
  readonly forMs: number
}

const cameraFaults: ReadonlyArray<CameraFault> = [
  "off",
  "drop",
  "drop",
  "flap",
  "freeze",
  "freezeVideo",
  "silent",
  "notFound",
  "garbage",
  "closeMidFrame",
  "closeAfterSetup",
  "unauthorized"
]
const rowFaults: ReadonlyArray<RowFault> = [
  "rename",
  "disable",
  "replace",
  "move",
  "otherPath",
  "otherEngine",
  "badRow"
]
const tableFaults: ReadonlyArray<TableFault> = ["renameAll", "notifications", "disableAll"]
const serverFaults: ReadonlyArray<ServerFault> = [
  "serverStop",
  "serverKick",
  "serverFreeze",
  "serverKill"
]
const databaseFaults: ReadonlyArray<DatabaseFault> = [
  "databaseTerminate",
  "databaseStop",
  "tableAway",
  "databaseFreeze",
  "databaseKill"
]

const nodeFaults: ReadonlyArray<NodeFault> = ["nodeKill", "nodeEnd", "nodeFreeze"]

export interface PlanOptions {
  /** With more than one daemon each storm has a trouble of a node. */
  readonly nodes?: number
  readonly seed: number
  readonly cameras: number
  readonly stormMs: number
  /** The mean time between two troubles of cameras or rows. */
  readonly everyMs: number
  /** The longest that a trouble lasts. */
  readonly longestMs: number
}

/** The steps of a storm, in order. `storm` counts from 0. */
export const plan = (options: PlanOptions, storm: number): ReadonlyArray<Step> => {
  const { cameras, everyMs, longestMs, stormMs } = options
  const random = generator(options.seed * 7919 + storm)
  const step = (atMs: number, fault: FaultName): Step => ({
    atMs: Math.round(atMs),
    fault,
    camera: Math.floor(random() * cameras),
    forMs: Math.round(longestMs * (0.1 + 0.9 * random()))
  })
  const steps: Array<Step> = []
  for (let atMs = 0; ;) {
    atMs += everyMs * (0.2 + 1.6 * random())
    if (atMs >= stormMs) break
    const one = step(atMs, pick(random() < 0.6 ? cameraFaults : rowFaults, random()))
    if (one.fault !== "flap") steps.push(one)
    // a flap is many, two seconds apart
    else {
      for (let at = atMs; at < atMs + 12_000 && at < stormMs; at += 2000) {
        steps.push({ ...one, atMs: Math.round(at), fault: "drop" })
      }
    }
  }
  const inTurn = (faults: ReadonlyArray<FaultName>, turn: number) => faults[turn % faults.length]!
  steps.push(step(stormMs * (0.1 + 0.3 * random()), inTurn(serverFaults, storm)))
  steps.push(step(stormMs * (0.5 + 0.3 * random()), inTurn(databaseFaults, storm)))
  steps.push(step(stormMs * random(), inTurn(tableFaults, storm)))
  if ((options.nodes ?? 1) > 1) {
    steps.push(step(stormMs * (0.1 + 0.6 * random()), inTurn(nodeFaults, storm)))
  }
  return steps.sort((a, b) => a.atMs - b.atMs)
}

const pick = <A>(all: ReadonlyArray<A>, random: number): A =>
  all[Math.floor(random * all.length)] as A

/** Numbers from 0 up to 1 (mulberry32). */
const generator = (seed: number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
