/**
 * The cameras of a soak, in a process of their own: each has its own address, so that it is a host by
 * itself, and does as it is told.
 */
import { RtspServer, type Quirks, TestPattern } from "@restream/core/testing"
import { Cause, Effect, Exit, Redacted, Scope } from "effect"
import { addressOf, cameraPort, password, username } from "./Addresses.ts"

/** What a camera is told to do. */
export interface CameraOrder {
  readonly camera: number
  /** Switches it off, or off and on again with other manners. A camera that is off refuses connections. */
  readonly power?: "on" | "off"
  readonly quirks?: Quirks
  /** Holds packets back while connections stay; `null` lets them go again. */
  readonly freeze?: "all" | "video" | null
}

/** More than one relay took a camera's stream, for longer than an ending one can take. */
export interface CrowdEvent {
  readonly event: "crowd"
  readonly camera: number
  readonly readers: number
}

const [block, count, framesPerSecond] = process.argv.slice(2).map(Number) as [
  number,
  number,
  number
]

/** How long two may read one camera: ffmpeg gets 3 s to end, and the machine may be busy. */
const crowdMs = 6000

interface Running {
  readonly scope: Scope.Closeable
  readonly server: RtspServer["Service"]
}

const running = new Map<number, Running>()

const off = Effect.fnUntraced(function* (camera: number) {
  const one = running.get(camera)
  running.delete(camera)
  if (one !== undefined) yield* Scope.close(one.scope, Exit.void)
})

const on = Effect.fnUntraced(function* (camera: number, quirks: Quirks) {
  yield* off(camera)
  const scope = yield* Scope.make()
  const server = yield* RtspServer.make({
    host: addressOf(block, camera),
    port: cameraPort,
    authentication: { username, password: Redacted.make(password) },
    settings: () => ({ quirks })
  }).pipe(Scope.provide(scope))
  yield* TestPattern.publish(server, "live", {
    frameRate: framesPerSecond,
    audio: camera % 2 === 0
  }).pipe(Scope.provide(scope))
  running.set(camera, { scope, server })
})

const obey = Effect.fnUntraced(function* ({ camera, freeze, power, quirks }: CameraOrder) {
  if (power === "off") yield* off(camera)
  if (power === "on") yield* on(camera, quirks ?? {})
  const server = running.get(camera)?.server
  if (server !== undefined && freeze !== undefined) {
    yield* freeze === null ? server.thaw("live") : server.freeze("live", freeze)
  }
})

const answer = (order: CameraOrder) =>
  Effect.runFork(
    obey(order).pipe(
      Effect.exit,
      Effect.map((exit) =>
        process.send?.(Exit.isSuccess(exit) ? {} : { error: Cause.pretty(exit.cause) })
      )
    )
  )

/** When each camera that has more than one reader was first seen so. */
let crowdedSince = new Map<number, number>()

/**
 * Looks for a camera with two readers. For a moment that is in order: a row that was deleted and inserted
 * anew is another camera to the daemon, and its first relay may still be ending.
 */
const look = Effect.gen(function* () {
  const crowded = new Map<number, number>()
  for (const [camera, { server }] of running) {
    const readers = (yield* server.path("live"))?.readers.length ?? 0
    if (readers < 2) continue
    const since = crowdedSince.get(camera) ?? performance.now()
    crowded.set(camera, since)
    if (performance.now() - since > crowdMs) {
      process.send?.({ event: "crowd", camera, readers } satisfies CrowdEvent)
    }
  }
  crowdedSince = crowded
})

await Effect.runPromise(
  Effect.forEach(
    Array.from({ length: count }, (_, camera) => camera),
    (camera) => on(camera, {}),
    { discard: true }
  )
)
setInterval(() => Effect.runFork(look), 200)
process.on("message", answer)
process.on("disconnect", () => process.exit())
process.on("SIGTERM", () => process.exit())
process.send?.({ ready: true })
