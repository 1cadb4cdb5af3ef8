/** Takes over changed settings while the daemon runs. */
import { type Settings, settingsChange, type SettingsError } from "@restream/config"
import * as Effect from "effect/Effect"
import type { FileSystem } from "effect/FileSystem"
import { checkTemplates } from "./LoadPlugins.ts"
import { databaseOf, loadSettings } from "./LoadSettings.ts"
import type { SettingFlags } from "./SettingFlags.ts"

/** Loads the settings and makes sure that a daemon can run by them. */
export const loadForDaemon = Effect.fnUntraced(function* (
  given: SettingFlags
): Effect.fn.Return<Settings, SettingsError, FileSystem> {
  const { settings } = yield* loadSettings(given)
  yield* databaseOf(settings)
  yield* checkTemplates(settings)
  return settings
})

/**
 * Reads the settings again, from the same file, flags and environment, and says what came of it: what
 * changed, and what waits for a restart. With a fault in them nothing changes, and each fault is told.
 *
 * @param apply takes over what can change; called only where something does.
 */
export const reload = Effect.fnUntraced(
  function* <R>(
    given: SettingFlags,
    inForce: Settings,
    apply: (settings: Settings) => Effect.Effect<void, never, R>
  ) {
    const wanted = yield* loadForDaemon(given)
    const { applied, settings, waiting } = settingsChange(inForce, wanted)
    if (applied.length > 0) yield* apply(settings)
    yield* Effect.logInfo(
      applied.length > 0 ? `reload: changed ${applied.join(", ")}` : "reload: nothing changed"
    )
    if (waiting.length > 0) {
      yield* Effect.logWarning(`reload: needs a restart: ${waiting.join(", ")}`)
    }
  },
  Effect.catchTag("SettingsError", ({ lines }) =>
    Effect.forEach(lines, (line) => Effect.logError(`reload: nothing changed: ${line}`), {
      discard: true
    })
  ),
  Effect.annotateLogs("module", "daemon")
)
