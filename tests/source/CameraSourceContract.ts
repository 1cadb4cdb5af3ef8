/** What every camera source does. Each adapter's test runs this suite. */
import { assert, describe, type Vitest } from "@effect/vitest"
import { CameraSource, type CameraRow } from "@restream/core"
import { Clock, Effect, type Layer, Option, Queue, Stream } from "effect"

export interface Adapter<R, RIn> {
  /** Starts from the rows. */
  readonly layer: (rows: ReadonlyArray<CameraRow>) => Layer.Layer<CameraSource | R, unknown, RIn>
  /** Changes the rows behind the source's back, so that it has to notice. */
  readonly setRows: (rows: ReadonlyArray<CameraRow>) => Effect.Effect<void, unknown, R>
}

/** The ids in each snapshot as it comes. */
export const observe = Effect.gen(function* () {
  const source = yield* CameraSource
  const seen = yield* Queue.unbounded<ReadonlyArray<string>>()
  yield* source.snapshots.pipe(
    Stream.runForEach(({ rows }) => Queue.offer(seen, rows.map(({ id }) => String(id)).sort())),
    Effect.forkScoped
  )
  return seen
})

/** Waits until a snapshot with these ids comes. */
export const awaitIds = (
  seen: Queue.Dequeue<ReadonlyArray<string>>,
  ids: ReadonlyArray<string>
): Effect.Effect<void> =>
  Queue.take(seen).pipe(
    Effect.repeat({ until: (snapshot) => JSON.stringify(snapshot) === JSON.stringify(ids) }),
    Effect.asVoid
  )

export const row = (id: number): CameraRow => ({ id, name: `Camera ${id}`, url: `rtsp://h/${id}` })

export const cameraSourceContract = <R, RIn = never>(
  it: Vitest.MethodsNonLive<RIn>,
  name: string,
  adapter: Adapter<R, RIn>
) =>
  describe(`CameraSource contract: ${name}`, () => {
    it.effect("starts with all rows", () =>
      Effect.gen(function* () {
        yield* awaitIds(yield* observe, ["1", "2"])
      }).pipe(Effect.scoped, Effect.provide(adapter.layer([row(1), row(2)])))
    )

    it.effect("starts with no rows where there are none", () =>
      Effect.gen(function* () {
        yield* awaitIds(yield* observe, [])
      }).pipe(Effect.scoped, Effect.provide(adapter.layer([])))
    )

    it.effect("reports added and removed rows", () =>
      Effect.gen(function* () {
        const seen = yield* observe
        yield* awaitIds(seen, ["1"])
        yield* adapter.setRows([row(1), row(2), row(3)])
        yield* awaitIds(seen, ["1", "2", "3"])
        yield* adapter.setRows([row(3)])
        yield* awaitIds(seen, ["3"])
        yield* adapter.setRows([])
        yield* awaitIds(seen, [])
      }).pipe(Effect.scoped, Effect.provide(adapter.layer([row(1)])))
    )

    it.effect("gives late subscribers the newest snapshot", () =>
      Effect.gen(function* () {
        const { snapshots } = yield* CameraSource
        yield* Stream.runHead(snapshots)
        const joinedAt = yield* Clock.currentTimeMillis
        // one that was taken before, and none that has yet to be taken
        const { rows, takenAt } = Option.getOrThrow(yield* Stream.runHead(snapshots))
        assert.isAtMost(takenAt, joinedAt)
        assert.deepStrictEqual(
          rows.map(({ id }) => String(id)),
          ["1"]
        )
      }).pipe(Effect.scoped, Effect.provide(adapter.layer([row(1)])))
    )

    it.effect("polls on demand, and publishes the result to all", () =>
      Effect.gen(function* () {
        const source = yield* CameraSource
        const seen = yield* observe
        yield* awaitIds(seen, ["1"])
        yield* adapter.setRows([row(2)])
        const { rows } = yield* source.refresh
        assert.deepStrictEqual(
          rows.map(({ id }) => String(id)),
          ["2"]
        )
        yield* awaitIds(seen, ["2"])
        assert.strictEqual((yield* source.health)._tag, "Up")
      }).pipe(Effect.scoped, Effect.provide(adapter.layer([row(1)])))
    )
  })
