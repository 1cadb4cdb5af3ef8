/** The options of one camera, in the table's `options` column. */
import { AudioPolicy, didYouMean, EngineChoice, SettingType, Transport } from "@restream/config"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** A camera's options, with defaults applied. */
export const CameraOptions = Schema.Struct({
  /** The name of the engine that relays the camera, or `auto`. Default `auto`. */
  engine: Schema.String,
  /** The transport of the camera's packets. Default `tcp`. */
  transport: Transport,
  /** What happens to the camera's audio. Default `auto`. */
  audio: AudioPolicy,
  /**
   * Whether restream's clock is used instead of the camera's: by the native engine for the sender reports, by
   * ffmpeg for the timestamps of the packets. Default `false`.
   */
  wallclock: Schema.Boolean,
  /** Whether any certificate of an `rtsps` camera is accepted, without verification. Default `false`. */
  insecure: Schema.Boolean,
  /**
   * The only certificate that is accepted from an `rtsps` camera, instead of certificates signed by an authority:
   * its SHA-256 without colons, in upper case.
   */
  fingerprint: Schema.UndefinedOr(Schema.String),
  /**
   * The time for opening the camera, from connecting to the response to PLAY, for a slow camera. Default:
   * the setting `probe.timeout`.
   */
  openTimeout: Schema.optional(Schema.UndefinedOr(Schema.Duration))
})
export type CameraOptions = typeof CameraOptions.Type

/** The options that a row sets; the others have their defaults. */
export type CameraOptionsColumn = {
  readonly [Name in keyof CameraOptions]?: CameraOptions[Name] | undefined
}

/** The same types as for the settings. */
const types: {
  readonly [Name in keyof CameraOptions]-?: SettingType.SettingType<
    NonNullable<CameraOptions[Name]>
  >
} = {
  engine: SettingType.choice<string>(EngineChoice),
  transport: SettingType.choice(Transport),
  audio: SettingType.choice(AudioPolicy),
  wallclock: SettingType.boolean,
  insecure: SettingType.boolean,
  fingerprint: SettingType.fingerprint,
  openTimeout: SettingType.duration({ least: "1 second", most: "10 minutes" })
}

/** The key of the column that names the streams to relay. Not an option of a single stream. */
const streamsKey = "streams"

/** The key of the column that mutes the camera. The relay does not depend on it. */
const alertsKey = "alerts"

/** The key of the column that identifies the device, for `restream check --find`. */
const deviceKey = "device"

/** The key of the column that names the media server. */
const mediaServerKey = "media_server"

/** The keys of the column. */
export const optionNames: ReadonlyArray<string> = [
  ...Object.keys(types),
  streamsKey,
  alertsKey,
  deviceKey,
  mediaServerKey
]

const isName = (name: string): name is keyof CameraOptions => Object.hasOwn(types, name)

/** A column of type text may hold the JSON. */
const fromJson = (raw: unknown): unknown => {
  if (typeof raw !== "string") return raw
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}

const optionOf = (raw: unknown, key: string): unknown => {
  const options = fromJson(raw)
  return Predicate.isObject(options) ? Reflect.get(options, key) : undefined
}

/** The raw value of the key `streams`; see the column `streams`. */
export const streamsOption = (raw: unknown): unknown => optionOf(raw, streamsKey)

/** The raw value of the key `media_server`; see the column `media_server`. */
export const mediaServerOption = (raw: unknown): unknown => optionOf(raw, mediaServerKey)

/** The value of the key `device` if it is text; see the column `device`. */
export const deviceOption = (raw: unknown): string | undefined => {
  const device = optionOf(raw, deviceKey)
  return typeof device === "string" ? device : undefined
}

/** Whether the key `alerts` turns off alerts about the camera. */
export const isMutedBy = (raw: unknown): boolean => {
  const options = fromJson(raw)
  if (!Predicate.isObject(options) || !Object.hasOwn(options, alertsKey)) return false
  return (
    Result.getOrElse(SettingType.boolean.parse(Reflect.get(options, alertsKey)), () => true) ===
    false
  )
}

/**
 * Parses the column, or reports all its problems.
 *
 * @param engines the choices of the `engine` option, see `Engines.choices`. Default: the built-in ones.
 */
export const parseOptions = (
  raw: unknown,
  engines: ReadonlyArray<string> = EngineChoice.literals
): Result.Result<CameraOptionsColumn, ReadonlyArray<string>> => {
  const options = fromJson(raw)
  if (options === undefined || options === null) return Result.succeed({})
  if (!Predicate.isObject(options)) {
    return Result.fail(['column options: the value is not a JSON object such as {"audio": "drop"}'])
  }
  const column: Record<string, unknown> = {}
  const problems: Array<string> = []
  for (const [name, value] of Object.entries(options)) {
    if ([streamsKey, deviceKey, mediaServerKey].includes(name)) continue
    if (name === alertsKey) {
      const parsed = SettingType.boolean.parse(value ?? true)
      if (Result.isFailure(parsed)) problems.push(`column options.${name}: ${parsed.failure}`)
    } else if (!isName(name)) {
      problems.push(`column options: unknown key ${name}${didYouMean(name, optionNames)}`)
    } else if (value !== null && value !== undefined) {
      const type = name === "engine" ? SettingType.choice(Schema.Literals(engines)) : types[name]
      const parsed: Result.Result<unknown, string> = type.parse(value)
      if (Result.isFailure(parsed)) problems.push(`column options.${name}: ${parsed.failure}`)
      else column[name] = parsed.success
    }
  }
  return problems.length === 0 ? Result.succeed(column) : Result.fail(problems)
}

/** The options of the row, completed by the defaults. */
export const withDefaults = (
  column: CameraOptionsColumn,
  defaults: CameraOptions
): CameraOptions => {
  const openTimeout = column.openTimeout ?? defaults.openTimeout
  return {
    engine: column.engine ?? defaults.engine,
    transport: column.transport ?? defaults.transport,
    audio: column.audio ?? defaults.audio,
    wallclock: column.wallclock ?? defaults.wallclock,
    insecure: column.insecure ?? defaults.insecure,
    fingerprint: column.fingerprint ?? defaults.fingerprint,
    ...(openTimeout !== undefined && { openTimeout })
  }
}
