/**
 * Sends messages to systemd's notify socket.
 *
 * The socket takes Unix datagrams, which Node can't send. systemd's own `systemd-notify` can, and stands on
 * every machine that runs systemd; one small shell, started once, calls it for each message, so that a ping
 * costs this process a write to a pipe and no fork. See docs/decisions/0010-how-systemd-is-notified.md.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"

/** The variables of a message, such as `{ READY: "1" }` (sd_notify(3)). */
export type Message = Readonly<Record<string, string>>

export interface Notifier {
  /** Hands a message over; never throws, never waits. Messages arrive in the order in which they were sent. */
  readonly send: (message: Message) => void
}

/**
 * Reads a message from each line, its variables with tabs between them. The signals that end a daemon don't
 * end it: it still has to say that the daemon is stopping. It ends when its input does, so with the daemon,
 * however that ends.
 */
const script = `
trap '' HUP INT TERM
set -f
IFS='\t'
while read -r line; do
  set -- $line
  systemd-notify "$@" </dev/null
done`

/** How long the last messages may take to go out. */
const closeTimeout = "1 second"

/**
 * Opens the way to a socket in the scope, which ends with the last message sent.
 *
 * @param socket a path, or the name of an abstract socket behind an `@`.
 * @param complain tells an operator that messages don't arrive; called once until they do again.
 */
export const make = (
  socket: string,
  complain: (problem: string) => void
): Effect.Effect<Notifier, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        let shell: ChildProcess | undefined
        let told: string | undefined

        const problem = (words: string) => {
          if (told !== words) complain(words)
          told = words
        }

        const open = (): ChildProcess => {
          const opened = spawn("/bin/sh", ["-c", script], {
            stdio: ["pipe", "ignore", "pipe"],
            // a terminal's Ctrl-C goes to our group, and is for us alone
            detached: true,
            env: { PATH: process.env["PATH"], LC_ALL: "C", NOTIFY_SOCKET: socket }
          })
          const gone = () => {
            if (shell === opened) shell = undefined
          }
          opened.on("error", (error) => {
            gone()
            problem(error.message)
          })
          opened.on("exit", gone)
          opened.stdin?.on("error", gone)
          opened.stderr?.on("data", (said: Buffer) => problem(String(said).split("\n", 1).join()))
          return opened
        }

        const send = (message: Message) => {
          shell ??= open()
          const words = Object.entries(message).map(
            ([name, value]) => `${name}=${value.replaceAll(/\s+/g, " ")}`
          )
          shell.stdin?.write(`${words.join("\t")}\n`)
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
