/** The log of a tree, as a test reads it. */
import { Cause, Effect, Logger, References } from "effect"

export interface Log {
  /** What an operator reads by default: `LEVEL message`, from info on. */
  readonly lines: () => ReadonlyArray<string>
  /** The lines in which something stands. */
  readonly matching: (pattern: RegExp) => ReadonlyArray<string>
  /** Everything that was logged at any level, with causes and fields, before anything is taken out. */
  readonly everything: () => string
  /** Done with the first line that matches, or the nth. */
  readonly awaitLine: (pattern: RegExp, nth?: number) => Effect.Effect<string>
  /** Runs something whose log goes here. */
  readonly capture: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

/**
 * Matches the lines about one camera, with these words: its own, and those of a cause that it shares with
 * others, as long as it is among the first that such a line names.
 */
export const about = (id: number | string, words = ""): RegExp => {
  const text = words.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(`^\\w+ camera ${id} .*${text}|${text}.*; affected: (.*, )?${id}( |,|$)`)
}

const shown = new Set(["Info", "Warn", "Error", "Fatal"])

/** Who was kept waiting until the test's time was over says for what, and what the log had. */
export const sayWaited = (startedAt: number, what: string, lines: ReadonlyArray<string>): void => {
  const waitedMs = performance.now() - startedAt
  if (waitedMs < 30_000) return
  const log = lines.slice(-100).join("\n")
  process.stderr.write(`waited ${Math.round(waitedMs)} ms in vain for ${what}; the log:\n${log}\n`)
}

export const make = (): Log => {
  const lines: Array<string> = []
  const raw: Array<string> = []
  const watchers = new Set<() => void>()

  const logger = Logger.make(({ cause, fiber, logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message])
      .map((part) => (typeof part === "string" ? part : JSON.stringify(part)))
      .join(" ")
    const fields = JSON.stringify(fiber.getRef(References.CurrentLogAnnotations))
    const causes = cause.reasons.length === 0 ? "" : Cause.pretty(cause)
    raw.push(`${logLevel} ${text} ${fields} ${causes} ${JSON.stringify(cause)}`)
    if (!shown.has(logLevel)) return
    lines.push(`${logLevel} ${text}${causes === "" ? "" : ` ${causes}`}`)
    for (const watcher of watchers) watcher()
  })

  const matching = (pattern: RegExp) => lines.filter((line) => pattern.test(line))
  return {
    lines: () => [...lines],
    matching,
    everything: () => raw.join("\n"),
    awaitLine: (pattern, nth = 1) =>
      Effect.callback((resume) => {
        const look = () => {
          const found = matching(pattern)[nth - 1]
          if (found === undefined) return
          watchers.delete(look)
          resume(Effect.succeed(found))
        }
        watchers.add(look)
        look()
        const startedAt = performance.now()
        return Effect.sync(() => {
          watchers.delete(look)
          sayWaited(startedAt, `the line ${pattern}`, lines)
        })
      }),
    capture: (effect) =>
      effect.pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "Trace")
      )
  }
}

/** Runs an effect with the lines that it logs from info on, as `LEVEL message`. */
export const withLog = <A, E, R>(
  effect: (lines: Array<string>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
  })
  return effect(lines).pipe(
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(References.MinimumLogLevel, "Info")
  )
}

/** The layer of a logger that throws whenever it is used. */
export const throwing = Logger.layer([
  Logger.make(() => {
    throw new Error("the logger's disk is full")
  })
])
