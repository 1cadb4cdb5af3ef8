/**
 * An engine that follows the settings: each probe and each relay is begun by the engine as it is made now.
 * What runs goes on as it was begun.
 */
import * as Effect from "effect/Effect"
import type { Engine } from "./Engine.ts"

/** @param current the engine now; asked before each probe and each relay, so it has to be cheap. */
export const make = (name: Engine["name"], current: () => Engine): Engine => ({
  name,
  get slowAfter() {
    return current().slowAfter
  },
  get concurrency() {
    return current().concurrency
  },
  supports: (source) => current().supports?.(source) ?? true,
  open: (source) => Effect.suspend(() => current().open(source))
})
