/** A process of the benchmark or of the soak, which talks to it by messages. */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"

/**
 * What `restream run` starts itself anew with. Where Node's channel is, by which we talk, it can't do that,
 * so a daemon of ours is started with it.
 */
export const { flags: asTheDaemon } = (await import(
  new URL("../../packages/cli/dist/process/HeapLimits.js", import.meta.url).href
)) as { readonly flags: ReadonlyArray<string> }

export interface ChildOptions {
  readonly args?: ReadonlyArray<string>
  readonly env?: NodeJS.ProcessEnv
  /** Node's own arguments. Default: ours. */
  readonly nodeArgs?: ReadonlyArray<string>
  /** Takes what it writes to its standard error. Default: ours. */
  readonly onStderr?: (text: string) => void
  /** Takes the messages that have an `event`; all others are answers. */
  readonly onEvent?: (event: never) => void
}

export class Child {
  readonly pid: number
  /** Done with the exit code, or the name of the signal, when it has ended. */
  readonly exited: Promise<number | string>
  readonly #process: ChildProcess
  /** Who waits for answers, the first that asked in front. */
  readonly #waiting: Array<{
    readonly resolve: (answer: unknown) => void
    readonly reject: (error: Error) => void
  }> = []

  private constructor(process: ChildProcess, { onEvent, onStderr }: ChildOptions) {
    this.#process = process
    this.pid = process.pid ?? 0
    this.exited = once(process, "exit").then(([code, signal]: ReadonlyArray<unknown>) => {
      const how = (code ?? signal) as number | string
      for (const { reject } of this.#waiting.splice(0)) {
        reject(new Error(`${process.spawnargs.slice(1).join(" ")} ended with ${how}`))
      }
      return how
    })
    process.stderr?.setEncoding("utf8").on("data", (text: string) => onStderr?.(text))
    process.on("message", (message: object) => {
      if ("event" in message) onEvent?.(message as never)
      else this.#waiting.shift()?.resolve(message)
    })
  }

  /** Starts a script, by its URL or its name in this folder, and waits for its first message. */
  static async start<First>(
    script: string | URL,
    options: ChildOptions = {}
  ): Promise<{ readonly child: Child; readonly first: First }> {
    const started = fork(new URL(script, import.meta.url), [...(options.args ?? [])], {
      env: { ...process.env, ...options.env },
      ...(options.nodeArgs === undefined ? {} : { execArgv: [...options.nodeArgs] }),
      stdio: ["ignore", "ignore", options.onStderr === undefined ? "inherit" : "pipe", "ipc"]
    })
    const child = new Child(started, options)
    return { child, first: await child.#next<First>() }
  }

  #next<Message>(): Promise<Message> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve: resolve as (answer: unknown) => void, reject })
    })
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /**
   * Says something, and gives the answer; fails when the process ends before that. Whoever asks waits for
   * the answer before asking again.
   */
  async ask<Answer>(question: object = {}): Promise<Answer> {
    if (!this.isRunning) throw new Error(`it has ended with ${await this.exited}`)
    const answer = this.#next<Answer>()
    this.#process.send(question)
    return answer
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name)
  }

  /** Ends it, in order first. */
  async end(): Promise<number | string> {
    if (!this.isRunning) return this.exited
    this.#process.kill("SIGTERM")
    const force = setTimeout(() => this.#process.kill("SIGKILL"), 6000)
    const how = await this.exited
    clearTimeout(force)
    return how
  }
}
