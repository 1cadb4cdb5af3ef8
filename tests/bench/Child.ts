/** A process of the benchmark, which talks to it by messages. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

export class Child {
  readonly pid: number
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
    this.pid = process.pid ?? 0
  }

  /** Starts a script of this folder, and waits for its first message. */
  static async start<First>(
    script: string,
    options: { readonly args?: ReadonlyArray<string>; readonly env?: NodeJS.ProcessEnv } = {}
  ): Promise<{ readonly child: Child; readonly first: First }> {
    const started = fork(new URL(script, import.meta.url), [...(options.args ?? [])], {
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "ignore", "inherit", "ipc"]
    })
    const child = new Child(started)
    const first = await Promise.race([
      child.#next<First>(),
      once(started, "exit").then(([code]) => {
        throw new Error(`${script} ended with ${String(code)}`)
      })
    ])
    return { child, first }
  }

  async #next<Message>(): Promise<Message> {
    const [message] = (await once(this.#process, "message")) as [Message]
    return message
  }

  /** Says something, and gives the answer. */
  async ask<Answer>(question: object = {}): Promise<Answer> {
    const answer = this.#next<Answer>()
    this.#process.send(question)
    return answer
  }

  /** Ends it, in order first. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null) return
    const exit = once(this.#process, "exit")
    this.#process.kill("SIGTERM")
    const force = setTimeout(() => this.#process.kill("SIGKILL"), 6000)
    await exit
    clearTimeout(force)
  }
}
