/** A camera as it is wanted: what the row asks for, resolved and checked. */
import * as Schema from "effect/Schema"
import type { CameraOptions } from "./CameraOptions.ts"
import type { MediaPath } from "./MediaPath.ts"
import { StreamUrl } from "./StreamUrl.ts"

/** The row's `id` as text. */
export const CameraId = Schema.String.pipe(Schema.brand("CameraId"))
export type CameraId = typeof CameraId.Type

/** That a stream is a further one of a camera, beside its main stream. */
export interface Substream {
  /** The id of the camera. */
  readonly of: CameraId
  /** The name of the stream, such as `sub`. */
  readonly name: string
}

/** The media server that a camera is published to, where the settings name several. */
export interface CameraServer {
  readonly name: string
  /** Its `host:port`, by which a server is recognized whatever its name. */
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
  /** Set for a further stream of a camera, which is relayed beside the main stream. */
  readonly substream?: Substream | undefined
  /** Set where no alerts are sent about the camera; changes without a restart. */
  readonly isMuted?: boolean | undefined
  /** Where its stream is. */
  readonly url: StreamUrl
  /** Where its stream is as well, in the order of preference. Default: nowhere. */
  readonly backups?: ReadonlyArray<StreamUrl> | undefined
  /** Where its stream goes on the media server. */
  readonly path: MediaPath
  /** Where its stream goes, where there are several media servers. Left out where there is one. */
  readonly mediaServer?: CameraServer | undefined
  /** Where its stream goes while that media server is away, in the order of preference. Default: nowhere. */
  readonly fallbackServers?: ReadonlyArray<CameraServer> | undefined
  readonly options: CameraOptions
}

/** A row that makes no camera, and why. */
export interface InvalidCamera {
  readonly _tag: "InvalidCamera"
  readonly id: CameraId
  readonly name: string
  readonly type: string
  /** Set for a further stream of a camera, see `Camera.substream`. */
  readonly substream?: Substream | undefined
  /** Set where no alerts are sent about the camera. */
  readonly isMuted?: boolean | undefined
  /** What is wrong with the row, in one line without secrets. */
  readonly problem: string
}

/** All that a relay depends on. Two cameras with the same key need no restart between them. */
export const relayKey = (camera: Camera): string =>
  JSON.stringify([
    [camera.url, ...(camera.backups ?? [])].map(StreamUrl.reveal),
    camera.path,
    camera.mediaServer?.key,
    camera.options
  ])

/** The path on its media server: two relays must never publish to one. */
export const destinationKey = ({ mediaServer, path }: Camera): string =>
  mediaServer === undefined ? path : `${mediaServer.address} ${path}`
