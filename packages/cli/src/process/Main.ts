/**
 * Runs a command as this process: signals, exit status, and an end that comes in time.
 *
 * The first SIGTERM or SIGINT ends the tree in order; a second one, or five seconds, ends it by force.
 * Nothing is left behind either way: the relays' processes are tied to this one.
 */
import { Redaction } from "@restream/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isatty } from "node:tty"
import { safely } from "../log/Logs.ts"
import { exitStatus, Failure } from "./Failure.ts"
import { outputFault } from "./Output.ts"

/** An end in order must be done by then; ffmpeg gets 3 s of it by default. */
const deadlineMs = 4800

const signals = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const
type SignalName = keyof typeof signals

/** What a command may change about how its process ends. */
export interface MainOptions {
  /** For a daemon, being asked to end is a good end: status 0. Else a signal gives 128 and its number. */
  isDaemon: boolean
  /**
   * What SIGHUP does. Default: it ends the process, as the other signals do. It ends it in any case where it
   * comes because the terminal is gone in which the process was started.
   */
  onHangup: (() => void) | undefined
}

/** The options of this process; the daemon's command sets them. */
export const mainOptions: MainOptions = { isDaemon: false, onHangup: undefined }

const toStderr = safely(process.stderr)
const say = (line: string) => toStderr(`${Redaction.oneLine(Redaction.redact(line))}\n`)

/** How long a process that was asked to end waits for whoever reads its output. */
const unreadMs = 500

/** Waits until a stream has taken what was written to it, or will never take it. */
const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    if (stream.writableLength === 0 || stream.destroyed) resolve()
    else stream.write("", () => resolve())
  })

/** Runs the effect and ends the process with its status. */
export const runMain = <E>(effect: Effect.Effect<void, E>): void => {
  let asked: SignalName | undefined
  let broke = false
  const terminals = [0, 1, 2].filter((fd) => isatty(fd))
  const lostTerminal = () => terminals.some((fd) => !isatty(fd))

  const fiber = Effect.runFork(effect)
  // sockets and timers come and go; the process stays until the effect is done
  const keepAlive = setInterval(() => {}, 2 ** 31 - 1)

  const end = () => {
    setTimeout(() => {
      say("restream: it did not end within 5 s; ending it by force")
      process.exit(1)
    }, deadlineMs).unref()
    fiber.interruptUnsafe()
  }

  const onSignal = (signal: SignalName) => {
    if (fiber.pollUnsafe() !== undefined) process.exit(128 + signals[signal])
    if (signal === "SIGHUP" && mainOptions.onHangup !== undefined && !lostTerminal()) {
      // asked to end already, it is not asked for anything else
      return asked === undefined ? mainOptions.onHangup() : undefined
    }
    if (asked !== undefined) process.exit(128 + signals[signal])
    asked = signal
    end()
  }
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal)

  /** After an error that nobody caught nothing can be relied on: end in order, and let systemd start anew. */
  const onDefect = (error: unknown) => {
    say(
      `restream: a fault in restream itself: ${error instanceof Error ? error.stack : String(error)}`
    )
    if (broke) return
    broke = true
    end()
  }
  process.on("uncaughtException", onDefect)
  process.on("unhandledRejection", onDefect)

  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    const status = broke ? 1 : statusOf(exit, asked)
    // a pipe takes 64 KiB at once, and its reader may think about them
    if (asked !== undefined) setTimeout(() => process.exit(status), unreadMs)
    void written(process.stdout)
      .then(() => {
        const problem = asked === undefined ? outputFault() : undefined
        if (problem === undefined || mainOptions.isDaemon) return status
        say(`restream: ${problem}`)
        return exitStatus.unusable
      })
      .then((final) => written(process.stderr).then(() => process.exit(final)))
  })
}

const statusOf = (exit: Exit.Exit<void, unknown>, asked: SignalName | undefined): number => {
  if (Exit.isSuccess(exit)) return exitStatus.good
  if (asked !== undefined && Cause.hasInterruptsOnly(exit.cause)) {
    return mainOptions.isDaemon ? exitStatus.good : 128 + signals[asked]
  }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error instanceof Failure) {
    // these lines were made without secrets, and an example in them may look like one
    for (const line of error.lines) toStderr(`${Redaction.oneLine(line)}\n`)
    return error.status
  }
  // the command line's own faults were printed by it, with the help
  if (error !== undefined) return exitStatus.unusable
  say(`restream: a fault in restream itself: ${Cause.pretty(exit.cause)}`)
  return exitStatus.someNot
}
