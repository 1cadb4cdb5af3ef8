/** Where the log goes, and what of it, by the settings. */
import type { Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { MinimumLogLevel } from "effect/References"
import * as LogFile from "./LogFile.ts"
import { type Format, fromOptions, render } from "./LogLine.ts"

type LogSettings = Settings["log"]

const levels: Record<LogSettings["level"], LogLevel.LogLevel> = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error"
}

/** The least level of all: what is below it need not even be made. */
const leastOf = ({ level, modules }: LogSettings): LogLevel.LogLevel =>
  [level, ...Object.values(modules)]
    .map((name) => levels[name])
    .reduce((a, b) => (LogLevel.isLessThan(a, b) ? a : b))

/**
 * Logs to a stream, and to a file where one is set.
 *
 * @param stream standard output for a daemon whose log is data (JSON), standard error else.
 */
export const layer = (log: LogSettings, stream: NodeJS.WriteStream): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const isTerminal = stream.isTTY === true
      const format: Format = log.format === "auto" ? (isTerminal ? "pretty" : "logfmt") : log.format
      const toStream = render(format, isTerminal)
      const write = safely(stream)
      const file =
        log.file === undefined
          ? undefined
          : yield* LogFile.make(
              {
                path: log.file,
                maxSize: log.fileMaxSize,
                maxAge: log.fileMaxAge,
                keep: log.fileKeep
              },
              (message) => write(`${message}\n`)
            )
      // a file is never a terminal: what is pretty there is a line with a date
      const toFile = render(format === "pretty" ? "logfmt" : format)

      const logger = Logger.make((options) => {
        const line = fromOptions(options)
        const least = levels[log.modules[line.module ?? ""] ?? log.level]
        if (LogLevel.isLessThan(options.logLevel, least)) return
        write(`${toStream(line)}\n`)
        file?.write(toFile(line))
      })
      return Layer.merge(Logger.layer([logger]), Layer.succeed(MinimumLogLevel, leastOf(log)))
    })
  )

/**
 * Writes to a stream that may be closed, full or gone at any time. Nothing is thrown then, and nobody is
 * told: there is nowhere left to tell it.
 */
export const safely = (stream: NodeJS.WriteStream): ((text: string) => void) => {
  if (stream.listenerCount("error") === 0) stream.on("error", () => {})
  return (text) => {
    try {
      stream.write(text)
    } catch {
      // a stream that was closed beneath us
    }
  }
}
