/** Reloads the settings of a running daemon. */
import { type Settings, settingsChange } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { loadSettings, type ResolvedSettings } from "./LoadSettings.ts"
import type { SettingFlags } from "./SettingFlags.ts"

/**
 * The flags for the next reload. They name the file that was read, so that a missing file is an error and
 * does not count as a file that sets nothing.
 */
export const withFile = (flags: SettingFlags, { file }: ResolvedSettings): SettingFlags =>
  file === undefined ? flags : { ...flags, config: Option.some(file) }

/**
 * Reads the settings again from the same file, flags and environment, and logs which settings changed and
 * which require a restart. If the settings are invalid, nothing changes and each problem is logged.
 *
 * @param apply applies the new settings; called only if one of them changed.
 * @param adapt makes the settings of this process of the loaded ones. Default: they are the same.
 * @returns the flags for the next reload.
 */
export const reload = Effect.fnUntraced(
  function* <R>(
    flags: SettingFlags,
    current: Settings,
    apply: (settings: Settings) => Effect.Effect<void, never, R>,
    adapt: (settings: Settings) => Settings = (settings) => settings
  ) {
    // plugins are loaded at the start only
    const next = yield* loadSettings(flags, { cameras: true, daemon: true, templates: true })
    const { applied, needRestart, settings } = settingsChange(current, adapt(next.settings))
    if (applied.length > 0) yield* apply(settings)
    if (applied.length > 0) {
      yield* Effect.logInfo(`reload: changed ${applied.join(", ")}`)
    } else if (needRestart.length === 0) {
      yield* Effect.logInfo("reload: nothing changed")
    }
    if (needRestart.length > 0) {
      yield* Effect.logWarning(`reload: restart required for ${needRestart.join(", ")}`)
    }
    return withFile(flags, next)
  },
  (reloading, flags) =>
    Effect.catchTag(reloading, "SettingsError", ({ lines }) =>
      Effect.as(
        Effect.forEach(
          lines,
          (line) => Effect.logError(`reload: invalid settings, nothing changed: ${line}`),
          {
            discard: true
          }
        ),
        flags
      )
    ),
  Effect.annotateLogs("module", "daemon")
)
