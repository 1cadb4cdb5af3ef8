/** Translates a configuration of Python's logging to the settings `log.*`. Pure. */
import { type LogModule, SettingType } from "@restream/config"
import * as Result from "effect/Result"
import { className, type LoggingConfig, type Section } from "./LoggingConfig.ts"

export interface Translation {
  /** The block `log` of the settings file. */
  readonly log: Readonly<Record<string, unknown>>
  /** One line for each part that has no counterpart, or another meaning. */
  readonly warnings: ReadonlyArray<string>
}

const levels: Readonly<Record<string, string>> = {
  NOTSET: "trace",
  DEBUG: "debug",
  INFO: "info",
  WARN: "warn",
  WARNING: "warn",
  ERROR: "error",
  CRITICAL: "error",
  FATAL: "error"
}

/** The module of restream for the name of a logger. */
const moduleOf = (name: string): (typeof LogModule.literals)[number] | undefined => {
  if (/ffmpeg|ffprobe|stream/i.test(name)) return "engine"
  if (/db|sql|asyncpg|database/i.test(name)) return "source"
  if (/cam/i.test(name)) return "camera"
  return undefined
}

export const translate = ({ formatters, handlers, loggers }: LoggingConfig): Translation => {
  const warnings: Array<string> = []
  const warn = ({ place }: Section, text: string) => warnings.push(`${place}: ${text}`)

  const levelOf = (section: Section): string | undefined => {
    const level = section.values.get("level")
    if (level === undefined || level === "") return undefined
    const word = String(level).toUpperCase()
    const found = levels[word]
    if (found === undefined) warn(section, `unknown level ${word}; log.level is not set`)
    if (found === "error" && word !== "ERROR") warn(section, `${word} is the level error here`)
    return found
  }

  const root = loggers.find(({ name }) => name === "root")
  const level = (root && levelOf(root)) ?? "info"
  const modules: Record<string, string> = {}
  for (const logger of loggers.filter((one) => one !== root)) {
    const name = String(logger.values.get("qualname") ?? logger.name)
    const module = moduleOf(name)
    const own = levelOf(logger)
    if (own === undefined) continue
    if (module === undefined) {
      warn(logger, `logger ${name}: no module of restream has this name; see log.modules`)
    } else {
      modules[module] = own
      warn(logger, `logger ${name}: taken for the module ${module}`)
    }
    if (/^(?:0|false|no)$/i.test(String(logger.values.get("propagate") ?? ""))) {
      warn(logger, `logger ${name}: propagate; all modules write to the same places`)
    }
  }

  const used = new Set(
    loggers.flatMap(({ values }) => String(values.get("handlers") ?? "").split(/[\s,]+/))
  )
  let file: Readonly<Record<string, unknown>> = {}
  for (const handler of handlers) {
    const kind = className(handler)
    if (!used.has(handler.name)) {
      warn(handler, `handler ${handler.name}: no logger uses it`)
      continue
    }
    const own = levelOf(handler)
    if (own !== undefined && own !== level) {
      warn(handler, `handler ${handler.name}: a level of its own; log.level applies to all places`)
    }
    if (handler.values.get("filters") !== undefined) {
      warn(handler, `handler ${handler.name}: filters have no counterpart`)
    }
    if (kind === "NullHandler") continue
    if (kind === "StreamHandler") {
      const stream = String(handler.values.get("stream") ?? "")
      const args = String(handler.values.get("args") ?? "")
      if (/stdout/.test(stream + args)) {
        warn(handler, "standard output: the log goes to standard error, unless log.format is json")
      }
    } else if (!kind.endsWith("FileHandler")) {
      warn(
        handler,
        `${kind || "a handler without class"}: no counterpart; the journal of systemd can forward the log`
      )
    } else if (file["file"] !== undefined) {
      warn(handler, "a second log file; restream writes one")
    } else {
      file = fileSettings(handler, kind, (text) => warn(handler, text))
    }
  }

  for (const formatter of formatters) {
    if (formatter.values.size > 0) {
      warn(
        formatter,
        `formatter ${formatter.name}: the form of a line is log.format: pretty, logfmt or json`
      )
    }
  }

  const isJson = formatters.some(({ values }) =>
    /json|^\s*\{/i.test(
      `${String(values.get("class") ?? values.get("()") ?? "")} ${String(values.get("format") ?? "")}`.trim()
    )
  )
  return {
    log: {
      level,
      ...(isJson ? { format: "json" } : {}),
      ...file,
      ...(Object.keys(modules).length > 0 ? { modules } : {})
    },
    warnings
  }
}

/** The maximum values of the settings, in place of "never". */
const never = { fileMaxSize: "1 TB", fileMaxAge: "366 days", fileKeep: 10_000 }

const fileSettings = (
  { values }: Section,
  kind: string,
  warn: (text: string) => void
): Readonly<Record<string, unknown>> => {
  const filename = values.get("filename")
  if (typeof filename !== "string") {
    warn("the file name is not a plain text; set log.file")
    return {}
  }
  if (values.get("mode") === "w") warn("mode w: the log file is never emptied at the start")
  const count = (name: string) => Number(values.get(name) ?? 0)
  const keep = count("backupCount")
  if (kind === "RotatingFileHandler") {
    const bytes = count("maxBytes")
    if (bytes === 0 || keep === 0)
      warn("without maxBytes or backupCount the file grows for ever; here it does not")
    return {
      file: filename,
      ...(bytes > 0 ? { fileMaxSize: sizeOf(bytes, warn) } : {}),
      fileMaxAge: never.fileMaxAge,
      ...(keep > 0 ? { fileKeep: keep } : {})
    }
  }
  if (kind === "TimedRotatingFileHandler") {
    const when = String(values.get("when") ?? "H").toUpperCase()
    const age = ageOf(when, count("interval") || 1, warn)
    if (keep === 0) warn("backupCount 0 keeps all files; here the number is limited")
    return {
      file: filename,
      fileMaxSize: never.fileMaxSize,
      ...(age === undefined ? {} : { fileMaxAge: age }),
      fileKeep: keep === 0 ? never.fileKeep : keep
    }
  }
  if (kind === "FileHandler") {
    warn("a file without rotation; here it is rotated by log.fileMaxSize and log.fileMaxAge")
  }
  return { file: filename }
}

const sizes = SettingType.size(1e3, 1e12)

const sizeOf = (bytes: number, warn: (text: string) => void): unknown => {
  if (bytes < 1000) warn(`maxBytes ${bytes} is less than 1 kB, the minimum`)
  return sizes.format(Math.min(Math.max(bytes, 1000), 1e12))
}

const units: Readonly<Record<string, string>> = {
  S: "seconds",
  M: "minutes",
  H: "hours",
  D: "days"
}

const ageOf = (when: string, interval: number, warn: (text: string) => void): unknown => {
  if (when === "MIDNIGHT" || /^W[0-6]$/.test(when)) {
    warn(`when ${when}: a file is rotated by its age, and not at a time of day`)
    const days = when === "MIDNIGHT" ? interval : 7 * interval
    return `${days} ${days === 1 ? "day" : "days"}`
  }
  const unit = units[when]
  const age = SettingType.duration({ least: "1 minute", most: "366 days" })
  const text = `${interval} ${unit ?? when}`
  if (unit !== undefined && Result.isSuccess(age.parse(text))) return text
  warn(
    `when ${when}, interval ${interval}: expected 1 minute to 366 days; log.fileMaxAge is not set`
  )
  return undefined
}
