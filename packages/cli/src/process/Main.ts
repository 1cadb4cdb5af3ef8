/**
 * Runs a command as this process: signals, exit status, and a shutdown with a timeout.
 *
 * The first SIGTERM or SIGINT shuts down in order; a second signal, or the timeout, forces the exit. Neither
 * leaves processes behind: the kernel kills the relay processes when this process exits.
 */
import { oneLine, redact } from "@restream/config"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isatty } from "node:tty"
import { safely } from "../log/Logs.ts"
import { exitStatus, Failure } from "./Failure.ts"
import { outputError } from "./Output.ts"

const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const
type SignalName = keyof typeof signals

/** How the process of a command reacts to signals. */
export interface MainOptions {
  /** Whether a signal ends the process with status 0. Otherwise the status is 128 plus the signal number. */
  isDaemon: boolean
  /**
   * Handles SIGHUP. Default: shut down, as for the other signals. A SIGHUP caused by a closed terminal always
   * shuts down.
   */
  onHangup: (() => void) | undefined
  /** The timeout of an orderly shutdown; ffmpeg gets 3 s of it by default. */
  shutdownTimeoutMs: number
}

/** The options of this process; `restream run` sets them. */
export const mainOptions: MainOptions = {
  isDaemon: false,
  onHangup: undefined,
  shutdownTimeoutMs: 4800
}

let beginShutdown: (() => void) | undefined

/** Shuts the process down as the first SIGTERM does, and does nothing after one. */
export const requestShutdown = (): void => beginShutdown?.()

const toStderr = safely(process.stderr)
const printError = (line: string) => toStderr(`${oneLine(redact(line))}\n`)

/** How long a process that received a signal waits for a slow reader of its output. */
const outputTimeoutMs = 500

/** Waits until the stream is flushed or destroyed. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve()
    else stream.write("", () => resolve())
  })

/** Runs the effect and ends the process with its status. */
export const runMain = <E>(effect: Effect.Effect<void, E>): void => {
  let received: SignalName | undefined
  let hasDefect = false
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  const lostTerminal = () => terminals.some((fd) => !isatty(fd))

  const fiber = Effect.runFork(effect)
  // keeps the process alive until the effect is done
  const keepAlive = setInterval(() => {}, 2 ** 31 - 1)

  const shutDown = () => {
    const { shutdownTimeoutMs } = mainOptions
    setTimeout(() => {
      printError(
        `restream: shutdown timed out after ${Math.round(shutdownTimeoutMs / 1000)} s; forcing exit`
      )
      process.exit(1)
    }, shutdownTimeoutMs).unref()
    fiber.interruptUnsafe()
  }

  const onSignal = (signal: SignalName) => {
    if (fiber.pollUnsafe() !== undefined) process.exit(128 + signals[signal])
    if (signal === "SIGHUP" && mainOptions.onHangup !== undefined && !lostTerminal()) {
      // a process that is shutting down ignores other requests
      return received === undefined ? mainOptions.onHangup() : undefined
    }
    if (received !== undefined) process.exit(128 + signals[signal])
    received = signal
    shutDown()
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal)
  beginShutdown = () => {
    if (received === undefined && fiber.pollUnsafe() === undefined) onSignal("SIGTERM")
  }
  // without a listener Node opens its debugger, which lets every local user run code in this process
  process.on("SIGUSR1", () => {})

  /** After an uncaught error the state is unreliable: shut down in order, and let systemd restart the process. */
  const onDefect = (error: unknown) => {
    printError(`restream: internal error: ${error instanceof Error ? error.stack : String(error)}`)
    if (hasDefect) return
    hasDefect = true
    shutDown()
  }
  process.on("uncaughtException", onDefect)
  process.on("unhandledRejection", onDefect)

  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    const status = hasDefect ? exitStatus.problems : statusOf(exit, received)
    // a pipe holds 64 KiB, and its reader may be slow
    if (received !== undefined) setTimeout(() => process.exit(status), outputTimeoutMs)
    void flushed(process.stdout)
      .then(() => {
        const problem = received === undefined ? outputError() : undefined
        if (problem === undefined || mainOptions.isDaemon) return status
        printError(`restream: ${problem}`)
        return exitStatus.usage
      })
      .then((final) => flushed(process.stderr).then(() => process.exit(final)))
  })
}

const statusOf = (exit: Exit.Exit<void, unknown>, received: SignalName | undefined): number => {
  if (Exit.isSuccess(exit)) return exitStatus.ok
  if (received !== undefined && Cause.hasInterruptsOnly(exit.cause)) {
    return mainOptions.isDaemon ? exitStatus.ok : 128 + signals[received]
  }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error instanceof Failure) {
    // not redacted: these lines have no secrets, but may have examples that look like secrets
    for (const line of error.lines) toStderr(`${oneLine(line)}\n`)
    return error.status
  }
  // Effect has printed the errors of the command line
  if (error !== undefined) return exitStatus.usage
  printError(`restream: internal error: ${Cause.pretty(exit.cause)}`)
  return exitStatus.problems
}
