/**
 * An engine that follows the settings: each probe and each relay is begun by the engine as it is made now.
 * What runs goes on as it was begun.
 */
import * as Effect from "effect/Effect"
import type { Engine } from "./Engine.ts"

/** @param current the engine now; asked before each probe and each relay, so it has to be cheap. */
export const make = (name: Engine["name"], current: Effect.Effect<Engine>): Engine => ({
  name,
  prober: { probe: (camera) => Effect.flatMap(current, ({ prober }) => prober.probe(camera)) },
  relay: { start: (job) => Effect.flatMap(current, ({ relay }) => relay.start(job)) }
})
