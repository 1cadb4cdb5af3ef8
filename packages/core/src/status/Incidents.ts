/**
 * Problems that are reported once when they start and once when they are resolved.
 *
 * Used for everything that can fail repeatedly: cameras, the database, its notifications, the media server, the log
 * file and systemd's socket. This module decides whether to report; the caller writes the line. `undefined` means that
 * the problem is already reported: log at debug level.
 */

/**
 * - `opened`: the first failure.
 * - `recurred`: a failure of a kind that was not reported in this incident yet.
 * - `flapping`: a failure soon after `resolved`. Reported once; until `stable`, only `recurred` is reported besides.
 * - `resolved`: the first success after a failure; with `resolvesWhenStable`, the end of the incident.
 * - `stable`: the end of an incident that was flapping.
 */
export type Notice = "opened" | "recurred" | "flapping" | "resolved" | "stable"

type Success = "resolved" | "stable"

/** The end of a line about a failure: whether the subject flaps. */
export const suffixOf = (notice: Notice | undefined): string =>
  notice === "flapping" ? "; flapping; further messages suppressed until it is stable" : ""

interface Incident {
  /** The kinds of failure that were reported. */
  readonly kinds: Set<string>
  /** When the first success followed the last failure; `undefined` while the subject fails. */
  resolvedAtMs: number | undefined
  /** Whether `resolved` was reported. */
  wasResolved: boolean
  isFlapping: boolean
}

export interface IncidentOptions {
  /**
   * Whether `resolved` waits until the subject is stable. Then an incident takes two lines, even if the subject fails
   * every few seconds, and `flapping` and `stable` are not used. Default `false`.
   */
  readonly resolvesWhenStable?: boolean | undefined
}

export class Incidents<Key> {
  readonly #incidents = new Map<Key, Incident>()
  readonly #stableAfterMs: number
  readonly #resolvesWhenStable: boolean

  /**
   * @param stableAfterMs how long a subject succeeds before its incident is over. Default 1 minute;
   * `Infinity`: until `markStable`.
   */
  constructor(stableAfterMs = 60_000, { resolvesWhenStable = false }: IncidentOptions = {}) {
    this.#stableAfterMs = stableAfterMs
    this.#resolvesWhenStable = resolvesWhenStable
  }

  /** Whether a subject has failed and is not stable yet. */
  has(key: Key): boolean {
    return this.#incidents.has(key)
  }

  /**
   * Records a failure of the subject. Failures of the same kind are the same problem.
   *
   * @param nowMs by a monotonic clock.
   */
  failed(key: Key, kind: string, nowMs: number): Exclude<Notice, Success> | undefined {
    const known = this.#incidents.get(key)
    if (known === undefined || this.#isStable(known, nowMs)) {
      this.#incidents.set(key, {
        kinds: new Set([kind]),
        resolvedAtMs: undefined,
        wasResolved: false,
        isFlapping: false
      })
      return "opened"
    }
    const isNewKind = !known.kinds.has(kind)
    known.kinds.add(kind)
    known.resolvedAtMs = undefined
    if (known.wasResolved && !known.isFlapping) {
      known.isFlapping = true
      return "flapping"
    }
    return isNewKind ? "recurred" : undefined
  }

  /** Records a success of the subject; call this for each success. @param nowMs by a monotonic clock. */
  succeeded(key: Key, nowMs: number): Success | undefined {
    const known = this.#incidents.get(key)
    if (known === undefined) return undefined
    if (this.#isStable(known, nowMs)) return this.markStable(key)
    known.resolvedAtMs ??= nowMs
    if (known.wasResolved || this.#resolvesWhenStable) return undefined
    known.wasResolved = true
    return "resolved"
  }

  /** Ends the incident. */
  markStable(key: Key): Success | undefined {
    const known = this.#incidents.get(key)
    this.#incidents.delete(key)
    if (known === undefined) return undefined
    if (this.#resolvesWhenStable) return "resolved"
    return known.isFlapping ? "stable" : undefined
  }

  /** Forgets the subject, so that the next failure is always reported. */
  forget(key: Key): void {
    this.#incidents.delete(key)
  }

  #isStable({ resolvedAtMs }: Incident, nowMs: number): boolean {
    return resolvedAtMs !== undefined && nowMs - resolvedAtMs >= this.#stableAfterMs
  }
}
