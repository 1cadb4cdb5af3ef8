/** Opens a camera's stream only to read what it sends. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProbeError, StreamSource } from "./CameraStream.ts"
import type { Engine, EngineParts } from "./Engine.ts"
import type { StreamInfo } from "./StreamInfo.ts"

export interface Prober {
  readonly slowAfter: Duration.Duration
  readonly concurrency: number
  readonly probe: (target: StreamSource) => Effect.Effect<StreamInfo, ProbeError>
}

/** An engine of a prober and a relay, each of which connects to the camera by itself. */
export const engineOf = (name: string, { prober, relay }: EngineParts): Engine & EngineParts => ({
  name,
  prober,
  relay,
  get slowAfter() {
    return prober.slowAfter
  },
  get concurrency() {
    return prober.concurrency
  },
  open: (source) =>
    Effect.map(prober.probe(source), (info) => ({
      info,
      publish: (options) => relay.start({ ...options, camera: source, offer: info })
    }))
})
