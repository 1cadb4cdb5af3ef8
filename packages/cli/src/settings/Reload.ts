/** Takes over changed settings while the daemon runs. */
import { type Settings, settingsChange } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { loadSettings, type Usable } from "./LoadSettings.ts"
import type { SettingFlags } from "./SettingFlags.ts"

/**
 * What the next reload is given: the file that was read is named from then on, so that its absence is a
 * fault. It must not pass for a file that sets nothing.
 */
export const withFile = (given: SettingFlags, { file }: Usable): SettingFlags =>
  file === undefined ? given : { ...given, config: Option.some(file) }

/**
 * Reads the settings again, from the same file, flags and environment, and says what came of it: what
 * changed, and what waits for a restart. With a fault in them nothing changes, and each fault is told.
 *
 * @param apply takes over what can change; called only where something does.
 * @returns what the next reload is to be given.
 */
export const reload = Effect.fnUntraced(
  function* <R>(
    given: SettingFlags,
    inForce: Settings,
    apply: (settings: Settings) => Effect.Effect<void, never, R>
  ) {
    // plugins stay as they are until a restart
    const wanted = yield* loadSettings(given, { database: true, templates: true })
    const { applied, settings, waiting } = settingsChange(inForce, wanted.settings)
    if (applied.length > 0) yield* apply(settings)
    yield* Effect.logInfo(
      applied.length > 0 ? `reload: changed ${applied.join(", ")}` : "reload: nothing changed"
    )
    if (waiting.length > 0) {
      yield* Effect.logWarning(`reload: needs a restart: ${waiting.join(", ")}`)
    }
    return withFile(given, wanted)
  },
  (reloading, given) =>
    Effect.catchTag(reloading, "SettingsError", ({ lines }) =>
      Effect.as(
        Effect.forEach(lines, (line) => Effect.logError(`reload: nothing changed: ${line}`), {
          discard: true
        }),
        given
      )
    ),
  Effect.annotateLogs("module", "daemon")
)
