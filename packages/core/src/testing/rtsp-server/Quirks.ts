/**
 * Faults of cameras, and faults of media servers towards publishers, that the server imitates. Set by path, and
 * can be combined.
 */
import type * as Duration from "effect/Duration"
import type { Method } from "../../rtsp/message/Method.ts"

/** The tracks that a freeze withholds. */
export type FrozenTracks = "video" | "audio" | "all"

/** How the camera writes `Content-Base`; `{ text }` is sent verbatim. */
export type ContentBaseQuirk =
  | "missing"
  /** `/cam1/` */
  | "pathOnly"
  /** `192.168.1.64:554/cam1/` */
  | "withoutScheme"
  /** `rtsp://rtsp://192.168.1.64:554/cam1/` */
  | "doubled"
  /** `rtsp://192.168.1.64:554/cam1/`, an unreachable address. */
  | "wrongHost"
  | { readonly text: string }

export interface Quirks {
  /** Responds to these methods with a status: `{ DESCRIBE: 404 }`, `{ PLAY: 503 }`, `{ OPTIONS: 404 }`. */
  readonly rejectWith?: Readonly<Partial<Record<Method, number>>> | undefined
  /** Responds to these methods after a delay: `{ DESCRIBE: "6 seconds" }`. */
  readonly delays?: Readonly<Partial<Record<Method, Duration.Input>>> | undefined
  /** Accepts the connection and the request, and never responds to this method. */
  readonly silentAt?: Method | undefined
  /** Closes the connection instead of responding to this method. */
  readonly closeAt?: Method | undefined
  /** Responds to this method with bytes that are not RTSP. */
  readonly garbageAt?: Method | undefined
  /** Rejects every password. */
  readonly alwaysUnauthorized?: boolean | undefined
  /** Issues a new nonce after each request, which invalidates the previous nonce. */
  readonly freshNonces?: boolean | undefined
  /** Sends `stale=true` if only the nonce is out of date. Default false: many cameras never send it. */
  readonly sendsStale?: boolean | undefined
  /** Requires authentication for `OPTIONS` too. */
  readonly authenticatesOptions?: boolean | undefined
  /** Withholds packets some time after `PLAY`, and keeps the connection open. */
  readonly freeze?: { readonly tracks: FrozenTracks; readonly after: Duration.Input } | undefined
  /** Closes the connection in the middle of a frame, after this many frames. */
  readonly closeMidFrame?: number | undefined
  /** Closes the connection after the response to the first `SETUP`. */
  readonly closeAfterSetup?: boolean | undefined
  /** Sends garbage between frames, each time after this many frames. */
  readonly garbageEvery?: number | undefined
  /** Chooses channels this much higher than requested. */
  readonly channelOffset?: number | undefined
  /** How the response to SETUP names the channels: `interleaved=0` only, the first track's for every track, or none. */
  readonly interleaved?: "first" | "repeated" | "missing" | undefined
  /** Writes `RTP/AVP` in the response to `SETUP`, although the transport is TCP. */
  readonly claimsUdp?: boolean | undefined
  /** Rejects audio: 404 to `SETUP` of an audio track, 400 to an `ANNOUNCE` with audio. */
  readonly rejectsAudio?: boolean | undefined
  /**
   * A description that the path always has, as `alwaysAvailable` of MediaMTX: `DESCRIBE` needs no publisher, and
   * `RECORD` of other codecs gets 400.
   */
  readonly alwaysAvailable?: string | undefined
  /** Supports UDP only: 461 to every `SETUP` by TCP. */
  readonly udpOnly?: boolean | undefined
  /** How responses write the sequence number: `cseq`, or not at all. */
  readonly cseq?: "lowerCase" | "missing" | undefined
  /** Rejects a `DESCRIBE` without `User-Agent`. */
  readonly requiresUserAgent?: boolean | undefined
  /** Rejects a `DESCRIBE` before the first `OPTIONS`, with 455. */
  readonly requiresOptions?: boolean | undefined
  /** Rejects a `PLAY` without `Range`. */
  readonly requiresRange?: boolean | undefined
  /** Rejects a `SETUP` for playing with a mode. */
  readonly rejectsMode?: boolean | undefined
  readonly contentBase?: ContentBaseQuirk | undefined
  /** The content type of the description: missing, or with a charset. */
  readonly contentType?: "missing" | "withCharset" | undefined
  /** Redirects the client: 302 to every `DESCRIBE`. */
  readonly redirect?: string | undefined
  /** The session timeout in seconds, as in the response to `SETUP`. Default 60. */
  readonly sessionTimeoutSeconds?: number | undefined
  /** Closes a connection whose session has no request within the session timeout. */
  readonly enforcesTimeout?: boolean | undefined
  /** The methods in `Public`. Default: all methods. */
  readonly publicMethods?: ReadonlyArray<Method> | undefined
  /** Sends an `OPTIONS` to the client once it plays or records. */
  readonly sendsOptions?: boolean | undefined
  /** Sends packets of an ended session before every response, on channel 0 and on an unassigned channel. */
  readonly strayFrames?: boolean | undefined
  /** Continues to send after `TEARDOWN`, on unassigned channels (old live555). */
  readonly goesOnAfterTeardown?: boolean | undefined
  /** Changes the description before it is sent. */
  readonly sdp?: ((sdp: string) => string) | undefined
}

/** The channel of packets without a session. */
export const strayChannel = 200
