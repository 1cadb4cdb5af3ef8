/** The last changes of the operator's word for a camera. */
import type { Word } from "./OperatorView.ts"

export interface TimelineEntry {
  readonly word: Word
  /** The word applies from this time until the next entry, in milliseconds since 1970. */
  readonly at: number
  /** The reason, if there was a problem: one line without secrets. */
  readonly reason: string | undefined
}

const capacity = 32

export class Timeline {
  readonly #entries: Array<TimelineEntry> = []

  /** Adds an entry if the word changed. Keeps the last 32 entries. */
  add(entry: TimelineEntry): void {
    if (this.#entries.at(-1)?.word === entry.word) return
    this.#entries.push(entry)
    if (this.#entries.length > capacity) this.#entries.shift()
  }

  /** The entries, the oldest first. */
  get entries(): ReadonlyArray<TimelineEntry> {
    return [...this.#entries]
  }
}
