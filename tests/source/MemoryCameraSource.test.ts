import { layer } from "@effect/vitest"
import { MemoryCameraSource } from "@restream/core"
import { Effect, Layer, SubscriptionRef } from "effect"
import { cameraSourceContract } from "./CameraSourceContract.ts"

layer(Layer.empty, { excludeTestServices: true })((it) => {
  cameraSourceContract(it, "MemoryCameraSource", {
    layer: MemoryCameraSource.layer,
    setRows: (rows) =>
      Effect.flatMap(MemoryCameraSource.CameraRows, (ref) => SubscriptionRef.set(ref, rows))
  })
})
