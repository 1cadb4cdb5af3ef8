/** What must never happen, and did. */

export interface Violation {
  /** From the beginning of the soak on. */
  readonly atMs: number
  readonly rule: Rule
  readonly detail: string
}

export type Rule =
  /** A second publisher came to a path of the media server while the first was there. */
  | "two publishers of a path"
  /** Two clients took one camera's stream, for longer than an ending one can take. */
  | "two readers of a camera"
  /** Two processes of ffmpeg publish to one path. */
  | "two processes for a path"
  /** A process of ffmpeg does not descend from the daemon. */
  | "orphan"
  /** A process that has ended was not waited for. */
  | "zombie"
  /** Not exactly those cameras are live that should be, long after the last trouble. */
  | "not as wanted"
  | "daemon ended"
  | "daemon silent"
  | "daemon fault"
  | "secret shown"
  /** What should be watched could not be. */
  | "not measured"
  /** The daemon did not end in order and in time when it was asked to. */
  | "bad end"

/** More of them say nothing new. */
const most = 100

export class Violations {
  readonly #startedAt = performance.now()
  readonly list: Array<Violation> = []
  count = 0
  readonly #tell: (line: string) => void

  constructor(tell: (line: string) => void) {
    this.#tell = tell
  }

  add(rule: Rule, detail: string): void {
    this.count++
    if (this.list.length >= most) return
    this.list.push({ atMs: Math.round(performance.now() - this.#startedAt), rule, detail })
    this.#tell(`VIOLATION: ${rule}: ${detail}`)
  }
}
