/** The latest removals, with the revision of each. */
export class Tombstones<Id> {
  readonly #revisions = new Map<Id, number>()
  readonly #capacity: number
  /** Removals up to this revision may be missing. */
  forgottenRevision = 0

  /** @param capacity how many removals are remembered. */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** @param revision higher than all earlier revisions. */
  set(id: Id, revision: number): void {
    this.#revisions.set(id, revision)
    if (this.#revisions.size <= this.#capacity) return
    for (const [oldest, at] of this.#revisions) {
      this.#revisions.delete(oldest)
      this.forgottenRevision = at
      return
    }
  }

  /** Deletes the tombstone of an id that is in use again. */
  delete(id: Id): void {
    this.#revisions.delete(id)
  }

  /** The ids that were removed after a revision. */
  since(revision: number): ReadonlyArray<Id> {
    return [...this.#revisions].flatMap(([id, at]) => (at > revision ? [id] : []))
  }
}
