/**
 * An engine that follows the settings: each probe and each relay is begun by the engine as it is made now.
 * What runs goes on as it was begun.
 */
import * as Effect from "effect/Effect"
import type { Engine } from "./Engine.ts"

/** @param current the engine now; asked before each probe and each relay, so it has to be cheap. */
export const make = (name: Engine["name"], current: () => Engine): Engine => ({
  name,
  prober: {
    get slowAfter() {
      return current().prober.slowAfter
    },
    get concurrency() {
      return current().prober.concurrency
    },
    probe: (camera) => Effect.suspend(() => current().prober.probe(camera))
  },
  relay: { start: (job) => Effect.suspend(() => current().relay.start(job)) }
})
