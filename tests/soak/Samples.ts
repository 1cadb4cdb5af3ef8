/** What the daemon holds, again and again. */
import type { Child } from "../bench/Child.ts"
import * as Proc from "../kit/Proc.ts"
import type { Diagnostics, DiagnosticsQuestion } from "./diagnostics.ts"
import type { Violations } from "./Violations.ts"

export interface Sample extends Diagnostics {
  /** From the beginning of the soak on. */
  readonly atMs: number
  /** Taken in a calm, with all cameras live: these samples can be compared. */
  readonly isCalm: boolean
  readonly live: number
  readonly openFiles: number
  readonly threads: number
}

const answerMs = 10_000

export interface PollerOptions {
  readonly daemon: Child
  readonly live: () => number
  /** Whether fibers are counted in a calm. That stops the daemon for seconds, and a node would lose its lease. */
  readonly countsFibers: boolean
  readonly violations: Violations
}

export class Samples {
  readonly list: Array<Sample> = []
  readonly #options: PollerOptions
  readonly #startedAt = performance.now()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: PollerOptions) {
    this.#options = options
  }

  /** Takes one, after those that were asked for before. */
  async take(isCalm: boolean): Promise<Sample | undefined> {
    const mine = this.#last.then(() => this.#take(isCalm))
    this.#last = mine
    return mine
  }

  async #take(isCalm: boolean): Promise<Sample | undefined> {
    const { countsFibers, daemon, live, violations } = this.#options
    if (!daemon.isRunning) return undefined
    const openFiles = Proc.entries(daemon.pid, "fd")
    const threads = Proc.entries(daemon.pid, "task")
    const liveBefore = live()
    const late = setTimeout(
      () => violations.add("daemon silent", `no answer within ${answerMs / 1000} s`),
      answerMs
    )
    // what follows may take seconds of a busy machine's time, and is no fault of the daemon's
    await daemon.ask({ ping: true } satisfies DiagnosticsQuestion).catch(() => undefined)
    clearTimeout(late)
    const question: DiagnosticsQuestion = { fibers: isCalm && countsFibers }
    // an end is told by whoever watches the daemon
    const answer = await daemon.ask<Diagnostics>(question).catch(() => undefined)
    if (answer === undefined) return undefined
    if (answer.fibers === 0) violations.add("not measured", "no fiber was found")
    const atMs = Math.round(performance.now() - this.#startedAt)
    const sample = { atMs, isCalm, live: liveBefore, openFiles, threads, ...answer }
    this.list.push(sample)
    return sample
  }
}
