/** Where the log goes, and what of it, by the settings. */
import type { Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { CurrentLogAnnotations, MinimumLogLevel } from "effect/References"
import * as Scope from "effect/Scope"
import { hasColor } from "../text/Terminal.ts"
import * as LogFile from "./LogFile.ts"
import { type Format, fromOptions, type LogLine, moduleOf, render } from "./LogLine.ts"

export type LogSettings = Settings["log"]

const levels: Record<LogSettings["level"], LogLevel.LogLevel> = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warn: "Warn",
  error: "Error"
}

/** Where a line is written: one set of settings, made into places and formats. */
interface Sink {
  readonly settings: LogSettings
  readonly write: (line: LogLine) => void
  readonly reopenIfMoved: () => void
}

/** The log of this process. */
export interface Logs {
  /** Makes it the logger of whatever is given the layer. */
  readonly layer: Layer.Layer<never>
  /** Goes on by other settings. A log file is left and another one begun where these ask for it. */
  readonly change: (settings: LogSettings) => Effect.Effect<void>
  /** Opens the log file again if it was moved or deleted. */
  readonly reopenIfMoved: Effect.Effect<void>
}

/**
 * Opens the log in the scope, which ends with its last line written. It goes to a stream, and to a file
 * where one is set.
 *
 * @param streamOf standard output for a daemon whose log is data (JSON), standard error else.
 */
export const make = Effect.fnUntraced(function* (
  settings: LogSettings,
  streamOf: (settings: LogSettings) => NodeJS.WriteStream
): Effect.fn.Return<Logs, never, Scope.Scope> {
  const scope = yield* Effect.scope
  let fileScope = yield* Scope.fork(scope)
  let sink = yield* open(settings, streamOf(settings)).pipe(Scope.provide(fileScope))

  const logger = Logger.make((options) => {
    const module = moduleOf(options.fiber.getRef(CurrentLogAnnotations)["module"])
    const { level, modules } = sink.settings
    const least = levels[(module === undefined ? undefined : modules[module]) ?? level]
    if (!LogLevel.isLessThan(options.logLevel, least)) sink.write(fromOptions(options))
  })

  return {
    // every message comes to the logger, which decides by the settings in force; a level that fibers
    // carry with them could not be changed while they run
    layer: Layer.merge(Logger.layer([logger]), Layer.succeed(MinimumLogLevel, "All")),
    reopenIfMoved: Effect.sync(() => sink.reopenIfMoved()),
    change: Effect.fnUntraced(function* (settings) {
      if (isSameFile(sink.settings, settings)) {
        sink = { ...sink, settings }
        return
      }
      // The file is given up before it is opened again, perhaps by the same name. What is logged meanwhile
      // waits: the old file takes no more, and the new one takes nothing yet.
      const waiting: Array<LogLine> = []
      sink = { settings, write: (line) => void waiting.push(line), reopenIfMoved: () => {} }
      yield* Scope.close(fileScope, Exit.void)
      fileScope = yield* Scope.fork(scope)
      sink = yield* open(settings, streamOf(settings)).pipe(Scope.provide(fileScope))
      waiting.forEach(sink.write)
    }, Effect.uninterruptible)
  }
})

/** Whether only levels differ. */
const isSameFile = (a: LogSettings, b: LogSettings): boolean =>
  a.file === b.file &&
  a.format === b.format &&
  a.fileMaxSize === b.fileMaxSize &&
  String(a.fileMaxAge) === String(b.fileMaxAge) &&
  a.fileKeep === b.fileKeep

const open = Effect.fnUntraced(function* (
  settings: LogSettings,
  stream: NodeJS.WriteStream
): Effect.fn.Return<Sink, never, Scope.Scope> {
  const format: Format =
    settings.format === "auto" ? (stream.isTTY === true ? "pretty" : "logfmt") : settings.format
  const toStream = render(format, hasColor(stream))
  const write = unlessUnread(stream, (dropped) =>
    toStream({
      time: new Date(),
      level: "Warn",
      message: `${dropped} log lines dropped: their reader did not keep up`,
      module: "daemon",
      fields: {}
    })
  )
  const file =
    settings.file === undefined
      ? undefined
      : yield* LogFile.make(
          {
            path: settings.file,
            maxSize: settings.fileMaxSize,
            maxAge: settings.fileMaxAge,
            keep: settings.fileKeep
          },
          // by itself, since a logger can't log: but a line as all others are
          (message) =>
            write(
              `${toStream({ time: new Date(), level: "Error", message, module: "daemon", fields: {} })}\n`
            )
        )
  // a file is never a terminal: what is pretty there is a line with a date
  const toFile = render(format === "pretty" ? "logfmt" : format)
  return {
    settings,
    reopenIfMoved: () => file?.reopenIfMoved(),
    write: (line) => {
      write(`${toStream(line)}\n`)
      file?.write(toFile(line))
    }
  }
})

/** Where a daemon logs: JSON logs are data and go to stdout; other formats go to stderr. */
export const daemonStream = ({ format }: LogSettings): NodeJS.WriteStream =>
  format === "json" ? process.stdout : process.stderr

/** The log, for as long as the layer lives. */
export const layer = (settings: LogSettings, stream: NodeJS.WriteStream): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.map(
      make(settings, () => stream),
      ({ layer }) => layer
    )
  )

/** What a reader may leave unread before lines are dropped, in bytes. */
const maxUnread = 2 ** 20

/**
 * Writes log lines to a stream whose reader may stop reading: neither the process nor its memory depends on
 * that. Lines are dropped then, and their number is written when the reader goes on.
 */
const unlessUnread = (
  stream: NodeJS.WriteStream,
  notice: (dropped: number) => string
): ((text: string) => void) => {
  setNonBlocking(stream)
  const write = safely(stream)
  let dropped = 0
  return (text) => {
    if (stream.writableLength > maxUnread) {
      dropped++
      return
    }
    if (dropped > 0) write(`${notice(dropped)}\n`)
    dropped = 0
    write(text)
  }
}

/** Node writes to a terminal synchronously: Ctrl-S, or a console that nobody reads, would stop the process. */
const setNonBlocking = (stream: NodeJS.WriteStream): void => {
  if (stream.isTTY !== true) return
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (blocks: boolean) => number } }
  handle?.setBlocking?.(false)
}

/**
 * Writes to a stream that may be closed, full or gone at any time. Nothing is thrown then.
 *
 * @param onError hears of it. Default: nobody, since a log that is gone has nowhere left to tell it.
 */
export const safely = (
  stream: NodeJS.WriteStream,
  onError?: (error: Error) => void
): ((data: string | Uint8Array) => void) => {
  // one who hears of it is enough, and the log is opened again and again
  if (onError !== undefined || stream.listenerCount("error") === 0) {
    stream.on("error", onError ?? (() => {}))
  }
  return (data) => {
    try {
      stream.write(data)
    } catch (error) {
      // a stream that was closed beneath us
      onError?.(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
