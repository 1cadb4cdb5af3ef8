/** The outputs of the log and their levels, by the settings. */
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

/** The outputs of the log for one set of settings. */
interface Sink {
  readonly settings: LogSettings
  readonly write: (line: LogLine) => void
  readonly reopenIfMoved: () => void
}

/** The log of this process. */
export interface Logs {
  /** Replaces the loggers by this log. */
  readonly layer: Layer.Layer<never>
  /** Applies other settings. If they differ in more than levels, the outputs are closed and opened again. */
  readonly change: (settings: LogSettings) => Effect.Effect<void>
  /** Opens the log file again if it was moved or deleted. */
  readonly reopenIfMoved: Effect.Effect<void>
}

/**
 * Opens the log in the scope; closing the scope writes the remaining lines. Lines are written to a stream, and to a
 * file if one is set.
 *
 * @param streamOf selects standard output for JSON logs of a daemon, otherwise standard error.
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
    // the logger gets every message and filters by the current settings; the minimum level of a running fiber
    // cannot be changed
    layer: Layer.merge(Logger.layer([logger]), Layer.succeed(MinimumLogLevel, "All")),
    reopenIfMoved: Effect.sync(() => sink.reopenIfMoved()),
    change: Effect.fnUntraced(function* (settings) {
      if (isSameFile(sink.settings, settings)) {
        sink = { ...sink, settings }
        return
      }
      // The old file is closed before the new one is opened, because both may have the same name. Lines in between
      // are buffered.
      const buffered: Array<LogLine> = []
      sink = { settings, write: (line) => void buffered.push(line), reopenIfMoved: () => {} }
      yield* Scope.close(fileScope, Exit.void)
      fileScope = yield* Scope.fork(scope)
      sink = yield* open(settings, streamOf(settings)).pipe(Scope.provide(fileScope))
      buffered.forEach(sink.write)
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
  const write = droppingUnread(stream, (dropped) =>
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
          // written directly, because a logger cannot log, in the same format as other lines
          (message) =>
            write(
              `${toStream({ time: new Date(), level: "Error", message, module: "daemon", fields: {} })}\n`
            )
        )
  // a file is not a terminal, so `pretty` becomes `logfmt`, which has the date
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

/** The stream for the log of a daemon: stdout for JSON, which is data; stderr for other formats. */
export const daemonStream = ({ format }: LogSettings): NodeJS.WriteStream =>
  format === "json" ? process.stdout : process.stderr

/** The log as a layer. */
export const layer = (settings: LogSettings, stream: NodeJS.WriteStream): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.map(
      make(settings, () => stream),
      ({ layer }) => layer
    )
  )

/** The maximum of unread bytes before lines are dropped. */
const maxUnread = 2 ** 20

/**
 * Writes log lines to a stream whose reader may stop reading, without blocking and in bounded memory. Lines are
 * then dropped, and their number is written when the reader continues.
 */
const droppingUnread = (
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

/** Node writes to a terminal synchronously: Ctrl-S, or a console without a reader, would block the process. */
const setNonBlocking = (stream: NodeJS.WriteStream): void => {
  if (stream.isTTY !== true) return
  const { _handle: handle } = stream as { _handle?: { setBlocking?: (blocks: boolean) => number } }
  handle?.setBlocking?.(false)
}

/**
 * Writes to a stream that may be closed or full at any time. Never throws.
 *
 * @param onError receives errors. Default: errors are ignored, because there is no other place to report them.
 */
export const safely = (
  stream: NodeJS.WriteStream,
  onError?: (error: Error) => void
): ((data: string | Uint8Array) => void) => {
  // one listener is enough: the log is reopened repeatedly
  if (onError !== undefined || stream.listenerCount("error") === 0) {
    stream.on("error", onError ?? (() => {}))
  }
  return (data) => {
    try {
      stream.write(data)
    } catch (error) {
      // the stream was closed meanwhile
      onError?.(error instanceof Error ? error : new Error(String(error)))
    }
  }
}
