/** What opens a session, with a camera or as a publisher. */
import * as Duration from "effect/Duration"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import type { ConnectionOptions } from "./Connection.ts"
import type { Trust } from "./Dialer.ts"

export interface SessionOptions extends Omit<ConnectionOptions, "answersRequests"> {
  /** The camera, or the path on the media server, with the credentials. */
  readonly url: StreamUrl
  /** For `rtsps`. Default: verified by name. */
  readonly trust?: Trust | undefined
  /** For all until the session is open: connecting, redirects, and the requests. Default 10 s. */
  readonly openTimeout?: Duration.Input | undefined
  /** How long the end waits for the answer to TEARDOWN. Default 1 s. */
  readonly teardownTimeout?: Duration.Input | undefined
}

export const defaultOpenTimeout = Duration.seconds(10)
export const defaultTeardownTimeout = Duration.seconds(1)
