/** The last changes of the operator's word for a camera. */
import type { Word } from "./OperatorView.ts"

export interface TimelineEntry {
  readonly word: Word
  /** When the word began to hold, in milliseconds since 1970. It holds until the next entry. */
  readonly at: number
  /** Why, where something was wrong: one line without secrets. */
  readonly reason: string | undefined
}

const capacity = 32

export class Timeline {
  readonly #entries: Array<TimelineEntry> = []

  /** Adds an entry if the word changed; keeps the last 32. */
  add(entry: TimelineEntry): void {
    if (this.#entries.at(-1)?.word === entry.word) return
    this.#entries.push(entry)
    if (this.#entries.length > capacity) this.#entries.shift()
  }

  /** The oldest first. */
  get entries(): ReadonlyArray<TimelineEntry> {
    return [...this.#entries]
  }
}
