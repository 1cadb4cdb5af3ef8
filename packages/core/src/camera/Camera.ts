/** The desired camera: what the row asks for, resolved and checked. */
import * as Schema from "effect/Schema"
import type { CameraOptions } from "./CameraOptions.ts"
import type { MediaPath } from "./MediaPath.ts"
import { StreamUrl } from "./StreamUrl.ts"

/** The row's `id` as text. */
export const CameraId = Schema.String.pipe(Schema.brand("CameraId"))
export type CameraId = typeof CameraId.Type

/** Marks a further stream of a camera, in addition to its main stream. */
export interface Substream {
  /** The id of the camera. */
  readonly of: CameraId
  /** The name of the stream, such as `sub`. */
  readonly name: string
}

/** The media server that a camera is published to, where the settings name several. */
export interface CameraServer {
  readonly name: string
  /** Its `host:port`, which identifies the server even after it is renamed. */
  readonly address: string
  /** A digest of the name and of all settings by which restream connects to the server. */
  readonly key: string
}

/** A camera that can be relayed, or a further stream of one. */
export interface Camera {
  readonly _tag: "Camera"
  readonly id: CameraId
  /** For people; changes without a restart. */
  readonly name: string
  /** The name of its camera type. */
  readonly type: string
  /** Set for a further stream of a camera, which is relayed in addition to the main stream. */
  readonly substream?: Substream | undefined
  /** Set where no alerts are sent about the camera; changes without a restart. */
  readonly isMuted?: boolean | undefined
  /** The address of its stream. */
  readonly url: StreamUrl
  /** The backup addresses of its stream, in the order of preference. Default: none. */
  readonly backups?: ReadonlyArray<StreamUrl> | undefined
  /** The path of its stream on the media server. */
  readonly path: MediaPath
  /** The media server of its stream, if there are several. Left out if there is one. */
  readonly mediaServer?: CameraServer | undefined
  /** The servers that replace that media server while it is unreachable, in the order of preference. Default: none. */
  readonly fallbackServers?: ReadonlyArray<CameraServer> | undefined
  readonly options: CameraOptions
}

/** A row that cannot be decoded to a camera, with the reason. */
export interface InvalidCamera {
  readonly _tag: "InvalidCamera"
  readonly id: CameraId
  readonly name: string
  readonly type: string
  /** Set for a further stream of a camera, see `Camera.substream`. */
  readonly substream?: Substream | undefined
  /** Set where no alerts are sent about the camera. */
  readonly isMuted?: boolean | undefined
  /** The problem of the row, in one line without secrets. */
  readonly problem: string
}

/** Everything that a relay depends on. A change that keeps the key needs no restart. */
export const relayKey = (camera: Camera): string =>
  JSON.stringify([
    [camera.url, ...(camera.backups ?? [])].map(StreamUrl.reveal),
    camera.path,
    camera.mediaServer?.key,
    camera.options
  ])

/** The media server and the path: two relays must never publish to the same one. */
export const destinationKey = ({ mediaServer, path }: Camera): string =>
  mediaServer === undefined ? path : `${mediaServer.address} ${path}`
