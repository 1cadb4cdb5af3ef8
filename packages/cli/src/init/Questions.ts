/** The questions of `restream init`. A setting that a flag or the environment gives is not asked for. */
import { type Settings, SettingType } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Prompt from "effect/cli/Prompt"
import type { QuitError } from "effect/Terminal"

/**
 * Asks for a text that the setting type accepts. An empty answer selects the default; the prompt's own default
 * would be an editable text to which input is appended.
 */
const text = <A>(message: string, type: SettingType.SettingType<A>, initial: string) =>
  Prompt.String({
    message: `${message} (${initial})`,
    validate: (answer) => {
      const chosen = answer === "" ? initial : answer
      return Result.match(type.parse(chosen), {
        onSuccess: () => Effect.succeed(chosen),
        onFailure: (problem) => Effect.fail(problem)
      })
    }
  })

const parsed = <A>(type: SettingType.SettingType<A>, value: unknown): A =>
  Result.getOrThrow(type.parse(value))

const port = SettingType.integer(1, 65_535)
const file = SettingType.text()

const askDatabase = Effect.gen(function* () {
  const host = yield* text("Database host", SettingType.host, "127.0.0.1")
  const portText = yield* text("Database port", port, "5432")
  const database = yield* text("Database name", SettingType.text(), "cameras")
  const user = yield* text("Database user", SettingType.text(), "restream")
  const password = Redacted.value(yield* Prompt.Password({ message: "Database password" }))
  const login = [user, password]
    .filter((part) => part !== "")
    .map(encodeURIComponent)
    .join(":")
  const bracketed = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host
  return `postgres://${login}@${bracketed}:${portText}/${encodeURIComponent(database)}`
})

const askCameras = Effect.fnUntraced(function* (
  settings: Settings
): Effect.fn.Return<Settings, QuitError, Prompt.Environment> {
  if (settings.database.dsn !== undefined || settings.source.file !== undefined) return settings
  const where = yield* Prompt.Select({
    message: "Where are the cameras listed?",
    choices: [
      { title: "In a table of PostgreSQL", value: "database" as const },
      { title: "In a YAML or CSV file", value: "file" as const }
    ]
  })
  if (where === "file") {
    return { ...settings, source: { file: yield* text("File of cameras", file, "cameras.yaml") } }
  }
  const dsn = parsed(SettingType.dsn, yield* askDatabase)
  return { ...settings, database: { ...settings.database, dsn } }
})

/** @param isGiven whether a flag or the environment sets a setting. */
const askMediaServer = Effect.fnUntraced(function* (
  settings: Settings,
  isGiven: (key: string) => boolean
) {
  let { mediaServer } = settings
  if (!isGiven("mediaServer.host")) {
    const host = yield* text("Media server host", SettingType.host, mediaServer.host)
    mediaServer = { ...mediaServer, host: parsed(SettingType.host, host) }
  }
  if (!isGiven("mediaServer.port")) {
    const answer = yield* text("Media server RTSP port", port, String(mediaServer.port))
    mediaServer = { ...mediaServer, port: parsed(port, answer) }
  }
  if (!isGiven("mediaServer.username")) {
    const username = yield* Prompt.String({
      message: "User name for publishing (empty: none)"
    })
    if (username !== "") {
      const password = yield* Prompt.Password({ message: "Password for publishing" })
      mediaServer = { ...mediaServer, username, password }
    }
  }
  return { ...settings, mediaServer }
})

/** The settings with the answers. Fails with `QuitError` on Ctrl+C. */
export const ask = (
  settings: Settings,
  isGiven: (key: string) => boolean
): Effect.Effect<Settings, QuitError, Prompt.Environment> =>
  Effect.flatMap(askCameras(settings), (asked) => askMediaServer(asked, isGiven))

export const confirm = (message: string, initial: boolean) => Prompt.Confirm({ message, initial })
