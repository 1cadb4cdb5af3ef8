/** The newest removals, by the revision at which each happened. */
export class Tombstones<Id> {
  readonly #revisions = new Map<Id, number>()
  readonly #capacity: number
  /** Removals up to this revision may be forgotten. */
  forgottenRevision = 0

  /** @param capacity how many removals are remembered. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** @param revision higher than all before. */
  set(id: Id, revision: number): void {
    this.#revisions.set(id, revision)
    if (this.#revisions.size <= this.#capacity) return
    for (const [oldest, at] of this.#revisions) {
      this.#revisions.delete(oldest)
      this.forgottenRevision = at
      return
    }
  }

  /** The id is in use again. */
  delete(id: Id): void {
    this.#revisions.delete(id)
  }

  /** What was removed after a revision. */
  since(revision: number): ReadonlyArray<Id> {
    return [...this.#revisions].flatMap(([id, at]) => (at > revision ? [id] : []))
  }
}
