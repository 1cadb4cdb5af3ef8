/** A camera source whose rows are held by the program: for embedding programs and tests. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { type CameraRow, CameraSource } from "./CameraSource.ts"
import * as Polling from "./Polling.ts"

/** The rows. A change of the rows changes the running cameras. */
export class CameraRows extends Context.Service<
  CameraRows,
  SubscriptionRef.SubscriptionRef<ReadonlyArray<CameraRow>>
>()("@restream/core/source/CameraRows") {}

/** Provides the source and its rows. */
export const layer = (
  rows: ReadonlyArray<CameraRow> = []
): Layer.Layer<CameraSource | CameraRows> =>
  Layer.effect(
    CameraSource,
    Effect.gen(function* () {
      const ref = yield* CameraRows
      return yield* Polling.make({
        label: "cameras",
        fetchRows: SubscriptionRef.get(ref),
        hints: SubscriptionRef.changes(ref).pipe(
          Stream.drop(1),
          Stream.map((): Polling.Hint => "changed")
        )
      })
    })
  ).pipe(Layer.provideMerge(Layer.effect(CameraRows, SubscriptionRef.make(rows))))
