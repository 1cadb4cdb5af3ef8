/**
 * The bitrates of the cameras: per minute for the last hour, and every 5 seconds for the last 10 minutes.
 *
 * One fiber reads the counters of all cameras. A camera takes 720 bytes.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { CameraId } from "../camera/Camera.ts"
import * as Monotonic from "../time/Monotonic.ts"
import { StatusStore } from "./StatusStore.ts"

/** In bits per second, the oldest first; zeros before the first sample. */
export interface RateHistory {
  /** 60 minutes. The last value is the current, incomplete minute. */
  readonly minutes: ReadonlyArray<number>
  /** 120 samples, one every 5 seconds. */
  readonly recent: ReadonlyArray<number>
}

const sampleInterval = "5 seconds"
const minuteMs = 60_000

/** The values of a ring buffer in order; `at` is the index of the newest. */
const inOrder = (ring: Float32Array, at: number): ReadonlyArray<number> => [
  ...ring.subarray(at + 1),
  ...ring.subarray(0, at + 1)
]

/** The bitrates of one byte counter. */
export class RateSeries {
  readonly #minutes = new Float32Array(60)
  readonly #recent = new Float32Array(120)
  #slot = 0
  #minute: number
  #minuteBytes = 0
  #minuteStartedMs: number
  #bytes: number
  #sampledMs: number
  /** The last sample, in bits per second. */
  current = 0

  /** @param nowMs by the monotonic clock. */
  constructor(bytes: number, nowMs: number) {
    this.#bytes = bytes
    this.#sampledMs = nowMs
    this.#minuteStartedMs = nowMs
    this.#minute = Math.floor(nowMs / minuteMs)
  }

  /** @param bytes counted so far; less than before means a reset counter. @param nowMs by the monotonic clock. */
  sample(bytes: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#sampledMs
    if (elapsedMs <= 0) return
    const sent = bytes >= this.#bytes ? bytes - this.#bytes : bytes
    this.#bytes = bytes
    this.#sampledMs = nowMs
    this.current = Math.round((sent * 8000) / elapsedMs)
    this.#slot = (this.#slot + 1) % this.#recent.length
    this.#recent[this.#slot] = this.current

    const minute = Math.floor(nowMs / minuteMs)
    for (let next = Math.max(this.#minute + 1, minute - 59); next <= minute; next++) {
      this.#minutes[next % 60] = 0
      this.#minuteBytes = 0
      this.#minuteStartedMs = nowMs - elapsedMs
    }
    this.#minute = minute
    this.#minuteBytes += sent
    this.#minutes[minute % 60] = (this.#minuteBytes * 8000) / (nowMs - this.#minuteStartedMs)
  }

  /** The last 60 minutes, the oldest first. */
  get minutes(): ReadonlyArray<number> {
    const oldest = this.#minute + 1
    return Array.from(this.#minutes, (_, index) =>
      Math.round(this.#minutes[(oldest + index) % 60] ?? 0)
    )
  }

  get history(): RateHistory {
    return { minutes: this.minutes, recent: inOrder(this.#recent, this.#slot) }
  }
}

const noHistory = new RateSeries(0, 0).history

export class Rates extends Context.Service<
  Rates,
  {
    /** The bitrate of a camera in bits per second; 0 for an unknown camera. */
    readonly current: (id: CameraId) => number
    /** The bitrates of the last hour, one per minute, the oldest first. */
    readonly minutes: (id: CameraId) => ReadonlyArray<number>
    readonly history: (id: CameraId) => RateHistory
    /** The bitrate of all cameras. */
    readonly total: () => number
    readonly totalHistory: () => RateHistory
  }
>()("@restream/core/status/Rates") {
  /** Samples every 5 seconds in the layer's scope. */
  static readonly layer: Layer.Layer<Rates, never, StatusStore> = Layer.effect(
    Rates,
    Effect.gen(function* () {
      const store = yield* StatusStore
      const cameras = new Map<CameraId, RateSeries>()
      const all = new RateSeries((yield* store.traffic).bytes, yield* Monotonic.now)

      const sample = Effect.gen(function* () {
        const now = yield* Monotonic.now
        const totals = yield* store.totals
        for (const [id, { bytes }] of totals) {
          const series = cameras.get(id)
          if (series === undefined) cameras.set(id, new RateSeries(bytes, now))
          else series.sample(bytes, now)
        }
        for (const id of cameras.keys()) if (!totals.has(id)) cameras.delete(id)
        all.sample((yield* store.traffic).bytes, now)
      })
      yield* sample
      yield* Effect.forkScoped(Effect.forever(Effect.delay(sample, sampleInterval)))

      return Rates.of({
        current: (id) => cameras.get(id)?.current ?? 0,
        minutes: (id) => cameras.get(id)?.minutes ?? noHistory.minutes,
        history: (id) => cameras.get(id)?.history ?? noHistory,
        total: () => all.current,
        totalHistory: () => all.history
      })
    })
  )
}
