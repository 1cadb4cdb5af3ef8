/**
 * Sends messages to systemd's notify socket.
 *
 * The socket takes Unix datagrams, which Node cannot send. `systemd-notify` can, and every machine with systemd
 * has it. A shell, started once, runs it for each message, so that a watchdog ping costs this process a write to
 * a pipe and no fork. See docs/decisions/0010-how-systemd-is-notified.md.
 */
import { Incidents } from "@restream/core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"

/** The variables of a message, such as `{ READY: "1" }` (sd_notify(3)). */
type Message = Readonly<Record<string, string>>

export interface Notifier {
  /** Sends a message. Never throws and never waits. Messages arrive in order. */
  readonly send: (message: Message) => void
}

/**
 * Reads one message per line, with tabs between the variables. It ignores the signals that stop the daemon,
 * because it sends the last message, STOPPING=1. It exits at the end of its input, that is, with the daemon.
 */
const script = `
trap '' HUP INT TERM
set -f
IFS='\t'
while read -r line; do
  set -- $line
  systemd-notify "$@" </dev/null
done`

/** For sending the last messages. */
const closeTimeout = "1 second"

/**
 * Makes a notifier. When the scope closes, it sends the remaining messages.
 *
 * @param socket a path, or `@` and the name of an abstract socket.
 * @param onProblem called with the reason when messages cannot be sent; not called again for the same reason.
 */
export const make = (
  socket: string,
  onProblem: (problem: string) => void
): Effect.Effect<Notifier, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        let shell: ChildProcess | undefined
        const incidents = new Incidents.Incidents<string>()

        const report = (problem: string) => {
          if (incidents.failed(socket, problem, performance.now()) !== undefined) onProblem(problem)
        }

        const open = (): ChildProcess => {
          const opened = spawn("/bin/sh", ["-c", script], {
            stdio: ["pipe", "ignore", "pipe"],
            // a Ctrl-C in a terminal goes to the process group, and must not stop the shell
            detached: true,
            env: { PATH: process.env["PATH"], LC_ALL: "C", NOTIFY_SOCKET: socket }
          })
          const onExit = () => {
            if (shell === opened) shell = undefined
          }
          opened.on("error", (error) => {
            onExit()
            report(error.message)
          })
          opened.on("exit", onExit)
          opened.stdin?.on("error", onExit)
          opened.stderr?.on("data", (output: Buffer) =>
            report(String(output).split("\n", 1).join())
          )
          return opened
        }

        const send = (message: Message) => {
          shell ??= open()
          const variables = Object.entries(message).map(
            ([name, value]) => `${name}=${value.replaceAll(/\s+/g, " ")}`
          )
          shell.stdin?.write(`${variables.join("\t")}\n`)
        }

        const close = Effect.callback<void>((resume) => {
          const last = shell
          if (last === undefined) return resume(Effect.void)
          last.once("exit", () => resume(Effect.void))
          last.stdin?.end()
        })
        return { close, send }
      }),
      ({ close }) => Effect.timeoutOption(close, closeTimeout)
    ),
    ({ send }) => ({ send })
  )
