/**
 * The engine `native`: speaks RTSP itself, within this process. No child, no password in `ps`, and a small
 * part of what a process for each camera costs.
 *
 * It relays what it finds and transcodes nothing; UDP, other protocols than RTSP, and sound in another form
 * are the ffmpeg engine's.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { DialOptions, Trust } from "../../rtsp/client/Dialer.ts"
import type { Engine, EngineParts } from "../Engine.ts"
import { engineOf } from "../Prober.ts"
import * as NativeProber from "./NativeProber.ts"
import * as NativeRelay from "./NativeRelay.ts"

export interface NativeEngineOptions {
  /** The deadline of a probe, and of each side's set-up. Default 10 s. */
  readonly probeTimeout?: Duration.Input | undefined
  /** How long the video may stand still before a relay ends itself. Default 10 s. */
  readonly stallTimeout?: Duration.Input | undefined
  /** Whose certificate of an `rtsps` media server is good. Default: verified by name. */
  readonly serverTrust?: Trust | undefined
  /** Whether the media server answers now. Asked when it ended a stream. */
  readonly checkServer: Effect.Effect<boolean>
  /** Finds the addresses of a name, the camera's or the server's. Default: the system's way. */
  readonly resolve?: DialOptions["resolve"]
}

export const make = (options: NativeEngineOptions): Engine & EngineParts =>
  engineOf("native", {
    prober: NativeProber.make({
      probeTimeout: options.probeTimeout ?? "10 seconds",
      resolve: options.resolve
    }),
    relay: NativeRelay.make({
      stallTimeout: options.stallTimeout ?? "10 seconds",
      openTimeout: options.probeTimeout ?? "10 seconds",
      serverTrust: options.serverTrust ?? { _tag: "Verify" },
      checkServer: options.checkServer,
      resolve: options.resolve
    })
  })
