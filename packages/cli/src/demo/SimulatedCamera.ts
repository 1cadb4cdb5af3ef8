/** IP cameras that are not there: each a device of its own, with its own port and its own password. */
import type { CameraRow } from "@restream/core"
import { RtspServer, type RtspServerError, TestPattern } from "@restream/core/rtsp"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { freePort } from "./FreePort.ts"

export interface SimulatedCamera {
  readonly name: string
  /** Switches the camera on; it is off with the scope. */
  readonly powerOn: Effect.Effect<void, RtspServerError, Scope.Scope>
  /** The columns of its row. */
  readonly row: CameraRow
}

/** How the simulated vendors are addressed. Each row takes another one. */
const vendors = [
  { type: "url", path: "live" },
  { type: "hikvision", path: "Streaming/Channels/101" },
  { type: "dahua", path: "cam/realmonitor?channel=1&subtype=0" },
  { type: "axis", path: "axis-media/media.amp?camera=1" }
] as const

/** One with every character that passwords break on. */
const password = "p@ss/w:rd #1%"

export interface SimulatedCameraOptions {
  readonly name: string
  /** Which of the vendors, by turns. */
  readonly kind: number
  readonly hasSound: boolean
  /** What the row says instead of the camera's own password. */
  readonly wrongPassword?: string | undefined
}

export const make = Effect.fnUntraced(function* (
  options: SimulatedCameraOptions
): Effect.fn.Return<SimulatedCamera> {
  const port = yield* freePort
  const { path, type } = vendors[options.kind % vendors.length] ?? vendors[0]
  const credentials = { username: "admin", password: options.wrongPassword ?? password }
  const place = { host: "127.0.0.1", port }
  const userInfo = `${credentials.username}:${encodeURIComponent(credentials.password)}`
  return {
    name: options.name,
    powerOn: Effect.gen(function* () {
      const server = yield* RtspServer.make({
        ...place,
        authentication: { username: "admin", password: Redacted.make(password), actions: ["read"] },
        resolve: () => "camera"
      })
      yield* TestPattern.publish(server, "camera", { frameRate: 10, audio: options.hasSound })
    }),
    row: {
      name: options.name,
      type,
      ...(type === "url"
        ? { url: `rtsp://${userInfo}@127.0.0.1:${port}/${path}` }
        : { ...place, ...credentials })
    }
  }
})
