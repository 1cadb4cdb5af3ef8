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
  /** By this name a camera's `engine` option chooses the engine. */
  readonly name: string
  /**
   * Whether the engine can open such a camera at all, by its URL and options. `auto` skips an engine that
   * cannot. Default: it can.
   */
  readonly supports?: (source: StreamSource) => boolean
  /** After this time `open` most likely only waits for a response, so that another one may start beside it. */
  readonly slowAfter: Duration.Duration
  /** How many cameras may be opened at once, by the cost of `open` for this machine; a setting overrides it. */
  readonly concurrency: number
  /**
   * Connects to the camera and reads what it sends: this is the probe.
   *
   * It always ends within the camera's `openTimeout`, or else the engine's default. The
   * scope owns the connection or the process. A wrong password costs the camera one wrong attempt.
   */
  readonly open: (source: StreamSource) => Effect.Effect<CameraStream, ProbeError, Scope.Scope>
}
