/** What a change of the settings means for a daemon that runs: what it takes over, and what has to wait. */
import * as Equal from "effect/Equal"
import { type Settings, settings } from "./Settings.ts"

export interface SettingsChange {
  /** The settings in force after the change: what only a restart applies is as it was. */
  readonly settings: Settings
  /** The keys of the settings that differ from before, in the order of the schema. */
  readonly applied: ReadonlyArray<string>
  /** The keys of those that are wanted otherwise and wait for a restart. */
  readonly waiting: ReadonlyArray<string>
}

type Tree = Record<string, unknown>

const at = (tree: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce((value, name) => (value as Tree)[name], tree)

const withValue = (
  tree: Tree,
  [name = "", ...rest]: ReadonlyArray<string>,
  value: unknown
): Tree => ({
  ...tree,
  [name]: rest.length === 0 ? value : withValue(tree[name] as Tree, rest, value)
})

/** Compares the settings in force with those that are wanted now. Pure. */
export const settingsChange = (inForce: Settings, wanted: Settings): SettingsChange => {
  const applied: Array<string> = []
  const waiting: Array<string> = []
  let result: Tree = inForce
  for (const { appliedBy, key, path } of settings) {
    const value = at(wanted, path)
    if (Equal.equals(at(inForce, path), value)) continue
    if (appliedBy === "restart") waiting.push(key)
    else {
      applied.push(key)
      result = withValue(result, path, value)
    }
  }
  return { settings: result as Settings, applied, waiting }
}
