/**
 * The formats of a log message; each renders one line.
 *
 * Control characters become visible escapes, and credentials are redacted again in every message.
 */
import { oneLine, redact } from "@restream/config"
import * as Cause from "effect/Cause"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import { CurrentLogAnnotations } from "effect/References"

/** A message, ready to be written in any format. */
export interface LogLine {
  readonly time: Date
  readonly level: LogLevel.LogLevel
  readonly message: string
  /** The part of the program that logs, for example `camera`. */
  readonly module: string | undefined
  /** The other annotations: `camera`, `name`, `state`, `reason`, … */
  readonly fields: Readonly<Record<string, string | number | boolean>>
}

const shown = (value: unknown): string =>
  oneLine(redact(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value))))

const isPlain = (value: unknown): value is number | boolean =>
  typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))

/** The module of a message, as in `log.modules`. The cluster modules of Effect map to `cluster`. */
export const moduleOf = (annotation: unknown): string | undefined => {
  if (annotation === undefined) return undefined
  const module = shown(annotation)
  return module.startsWith("effect/cluster/") ? "cluster" : module
}

/** Makes a line from the options of an Effect logger. */
export const fromOptions = (options: Logger.Options<unknown>): LogLine => {
  const parts = Array.isArray(options.message) ? options.message : [options.message]
  const words = parts.map(shown)
  if (options.cause.reasons.length > 0) words.push(shown(Cause.pretty(options.cause)))
  const fields: Record<string, string | number | boolean> = {}
  let module: string | undefined
  for (const [key, value] of Object.entries(options.fiber.getRef(CurrentLogAnnotations))) {
    if (key === "module") module = moduleOf(value)
    else fields[key] = isPlain(value) ? value : shown(value)
  }
  return { time: options.date, level: options.logLevel, message: words.join(" "), module, fields }
}

/** The formats that a message can have. */
export type Format = "pretty" | "json" | "logfmt"

const levelWords: Partial<Record<LogLevel.LogLevel, string>> = {
  Warn: "warn",
  Error: "error",
  Info: "info",
  Debug: "debug",
  Trace: "trace",
  Fatal: "fatal"
}

const levelWord = (level: LogLevel.LogLevel): string => levelWords[level] ?? level.toLowerCase()

const json = (line: LogLine): string =>
  JSON.stringify({
    time: line.time.toISOString(),
    level: levelWord(line.level),
    ...(line.module === undefined ? {} : { module: line.module }),
    ...line.fields,
    message: line.message
  })

const logfmtValue = (value: string): string =>
  /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)

const logfmt = (line: LogLine): string =>
  Object.entries({
    time: line.time.toISOString(),
    level: levelWord(line.level),
    ...(line.module === undefined ? {} : { module: line.module }),
    ...line.fields,
    msg: line.message
  })
    .map(([key, value]) => `${key}=${logfmtValue(String(value))}`)
    .join(" ")

const colors: Partial<Record<LogLevel.LogLevel, number>> = {
  Fatal: 31,
  Error: 31,
  Warn: 33,
  Info: 32,
  Debug: 90,
  Trace: 90
}

const pretty =
  (hasColor: boolean) =>
  (line: LogLine): string => {
    const two = (n: number) => String(n).padStart(2, "0")
    const { time } = line
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":")
    const level = levelWord(line.level).toUpperCase().padEnd(5)
    const painted = hasColor ? `\u001b[${colors[line.level] ?? 0}m${level}\u001b[0m` : level
    const { node } = line.fields
    return `${clock} ${painted} ${node === undefined ? "" : `[${node}] `}${line.message}`
  }

/** Renders a message in a format. @param hasColor whether `pretty` uses colors. */
export const render = (format: Format, hasColor = false): ((line: LogLine) => string) => {
  if (format === "json") return json
  return format === "logfmt" ? logfmt : pretty(hasColor)
}
