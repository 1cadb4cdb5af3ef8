/** Simulated IP cameras: each is a separate device with its own port. */
import type { CameraRow } from "@restream/core"
import { holdPort, RtspServer, type RtspServerError, TestPattern } from "@restream/core/testing"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"

export interface SimulatedCamera {
  readonly name: string
  /** The columns of its row. */
  readonly row: CameraRow
}

/** A camera that is switched off. */
export interface OffCamera extends SimulatedCamera {
  /** Switches the camera on, until the scope closes. */
  readonly powerOn: Effect.Effect<void, RtspServerError, Scope.Scope>
}

/** The camera types and paths of the simulated vendors, used in turn. */
const vendors = [
  { type: "url", path: "live" },
  { type: "hikvision", path: "Streaming/Channels/101" },
  { type: "dahua", path: "cam/realmonitor?channel=1&subtype=0" },
  { type: "axis", path: "axis-media/media.amp?camera=1" }
] as const

/** A password with characters that need encoding. */
const password = "p@ss/w:rd #1%"

export interface SimulatedCameraOptions {
  readonly name: string
  /** The index of the vendor, modulo the number of vendors. */
  readonly kind: number
  readonly hasAudio: boolean
  /** A wrong password for the row. */
  readonly wrongPassword?: string | undefined
}

/** Makes a camera that is on. */
export const make = Effect.fnUntraced(function* (
  options: SimulatedCameraOptions
): Effect.fn.Return<SimulatedCamera, RtspServerError, Scope.Scope> {
  const { port } = yield* device(options, 0)
  return { name: options.name, row: rowOf(options, port) }
})

/** Makes a camera that is off: its port resets every connection. */
export const makeOff = Effect.fnUntraced(function* (
  options: SimulatedCameraOptions
): Effect.fn.Return<OffCamera, never, Scope.Scope> {
  const { port, release } = yield* holdPort
  const powerOn = Effect.andThen(
    release,
    Effect.retry(device(options, port), {
      // the kernel may have assigned the port to a connection of another program meanwhile
      while: ({ reason }) => reason._tag === "ListenFailed" && reason.code === "EADDRINUSE",
      schedule: Schedule.spaced("100 millis"),
      times: 50
    })
  )
  return { name: options.name, powerOn: Effect.asVoid(powerOn), row: rowOf(options, port) }
})

/** The device: a server on a port (0: any), and the test pattern that it sends. */
const device = Effect.fnUntraced(function* (options: SimulatedCameraOptions, port: number) {
  const server = yield* RtspServer.make({
    host: "127.0.0.1",
    port,
    authentication: { username: "admin", password: Redacted.make(password), actions: ["read"] },
    resolve: () => "camera"
  })
  yield* TestPattern.publish(server, "camera", { frameRate: 10, audio: options.hasAudio })
  return server
})

const rowOf = (options: SimulatedCameraOptions, port: number): CameraRow => {
  const { path, type } = vendors[options.kind % vendors.length] ?? vendors[0]
  const credentials = { username: "admin", password: options.wrongPassword ?? password }
  const userInfo = `${credentials.username}:${encodeURIComponent(credentials.password)}`
  return {
    name: options.name,
    type,
    ...(type === "url"
      ? { url: `rtsp://${userInfo}@127.0.0.1:${port}/${path}` }
      : { host: "127.0.0.1", port, ...credentials })
  }
}
