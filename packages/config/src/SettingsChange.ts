/** The difference between two settings: what a running daemon applies, and what requires a restart. */
import * as Equal from "effect/Equal"
import { hasNamedServers, isOfOneServer } from "./ServersOf.ts"
import { valueAt, withValueAt } from "./Setting.ts"
import { type Settings, settings } from "./Settings.ts"

export interface SettingsChange {
  /** The settings after the change; settings that require a restart keep their old values. */
  readonly settings: Settings
  /** The keys of the changed settings, in the order of the documentation. */
  readonly applied: ReadonlyArray<string>
  /** The keys of the changed settings that require a restart. */
  readonly needRestart: ReadonlyArray<string>
}

/**
 * Compares the current settings with the newly loaded ones.
 *
 * A change between `mediaServer` and `mediaServers` applies all settings of the server: nothing uses
 * `mediaServer` while there are several servers.
 */
export const settingsChange = (current: Settings, next: Settings): SettingsChange => {
  const changed = settings.filter(
    ({ path }) => !Equal.equals(valueAt(current, path), valueAt(next, path))
  )
  const isOneServer = !hasNamedServers(current) && !hasNamedServers(next)
  const applied = changed.filter(
    ({ appliedBy, key }) => appliedBy === "reload" || (!isOneServer && isOfOneServer(key))
  )
  return {
    settings: applied.reduce<Settings>(
      (tree, { path }) => withValueAt(tree, path, valueAt(next, path)) as Settings,
      current
    ),
    applied: applied.flatMap(({ key }) =>
      hasNamedServers(next) && isOfOneServer(key) ? [] : [key]
    ),
    needRestart: changed.filter((one) => !applied.includes(one)).map(({ key }) => key)
  }
}
