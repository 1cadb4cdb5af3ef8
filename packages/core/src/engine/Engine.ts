/**
 * The port for engines: a way to open a camera's stream and to publish it.
 *
 * Adapters: `NativeEngine`, `FfmpegEngine`, and those that an embedding program registers. Every adapter
 * passes the suites `tests/engine/OpenContract.ts` and `tests/engine/PublishContract.ts`.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CameraStream, ProbeError, StreamSource } from "./CameraStream.ts"

export interface Engine {
  /** The name in a camera's `engine` option. */
  readonly name: string
  /**
   * Whether the engine can open a camera with this URL and these options. `auto` skips an engine that cannot.
   * Default: it can.
   */
  readonly supports?: (source: StreamSource) => boolean
  /** The time after which `open` most likely only waits for a response, so that another `open` may start. */
  readonly slowAfter: Duration.Duration
  /**
   * The number of cameras that may be opened at once, by the cost of `open` on this machine; a setting overrides
   * it.
   */
  readonly concurrency: number
  /**
   * Connects to the camera and reads what it sends: this is the probe.
   *
   * `open` always ends within the camera's `openTimeout`, or else the engine's default. The scope owns the
   * connection or the process. A wrong password costs one login attempt at the camera.
   */
  readonly open: (source: StreamSource) => Effect.Effect<CameraStream, ProbeError, Scope.Scope>
}
