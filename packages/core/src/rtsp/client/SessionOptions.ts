/** Options of a session with a camera or a media server. */
import * as Duration from "effect/Duration"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import type { ConnectionOptions } from "./Connection.ts"
import type { Trust } from "./Dialer.ts"

export interface SessionOptions extends Omit<ConnectionOptions, "answersRequests"> {
  /** The camera, or the path on the media server, with the credentials. */
  readonly url: StreamUrl
  /** For `rtsps`. Default: verify the certificate by host name. */
  readonly trust?: Trust | undefined
  /** From connecting, over redirects, to the response to PLAY or RECORD. Default 10 s. */
  readonly openTimeout?: Duration.Input | undefined
  /** The longest wait for the response to TEARDOWN. Default 1 s. */
  readonly teardownTimeout?: Duration.Input | undefined
}

export const defaultOpenTimeout = Duration.seconds(10)
export const defaultTeardownTimeout = Duration.seconds(1)
