/**
 * The ways in which the embedded server can misbehave: each is something that cameras do, or that a media
 * server does to a publisher. They are set by path, and may be combined.
 */
import type * as Duration from "effect/Duration"
import type { Method } from "../../rtsp/message/Method.ts"

/** Which packets a freeze holds back. */
export type FrozenTracks = "video" | "audio" | "all"

/** How a camera writes `Content-Base`; `{ text }` is taken letter by letter. */
export type ContentBaseQuirk =
  | "missing"
  /** `/cam1/` */
  | "pathOnly"
  /** `192.168.1.64:554/cam1/` */
  | "withoutScheme"
  /** `rtsp://rtsp://192.168.1.64:554/cam1/` */
  | "doubled"
  /** `rtsp://192.168.1.64:554/cam1/`, an address that can't be reached. */
  | "wrongHost"
  | { readonly text: string }

export interface Quirks {
  /** Answers these methods with a status: `{ DESCRIBE: 404 }`, `{ PLAY: 503 }`, `{ OPTIONS: 404 }`. */
  readonly refuse?: Readonly<Partial<Record<Method, number>>> | undefined
  /** Takes the connection and the request, and never answers this method. */
  readonly silentAt?: Method | undefined
  /** Closes the connection instead of answering this method. */
  readonly closeAt?: Method | undefined
  /** Answers this method with bytes that are no RTSP. */
  readonly garbageAt?: Method | undefined
  /** Refuses every password. */
  readonly alwaysUnauthorized?: boolean | undefined
  /** Gives a new nonce after each request, so that the one before holds no longer. */
  readonly freshNonces?: boolean | undefined
  /** Says `stale=true` when only the nonce was too old. Default false: many cameras never say it. */
  readonly tellsStale?: boolean | undefined
  /** Challenges at `OPTIONS`, too. */
  readonly guardsOptions?: boolean | undefined
  /** Holds packets back from some time after `PLAY` on, while the connection stays. */
  readonly freeze?: { readonly tracks: FrozenTracks; readonly after: Duration.Input } | undefined
  /** Closes the connection in the middle of a frame, after so many frames. */
  readonly closeMidFrame?: number | undefined
  /** Closes the connection behind the answer to the first `SETUP`. */
  readonly closeAfterSetup?: boolean | undefined
  /** Puts garbage between frames, after every so many. */
  readonly garbageEvery?: number | undefined
  /** Chooses channels that much higher than the client asked for. */
  readonly channelOffset?: number | undefined
  /** How SETUP's answer names the channels: `interleaved=0` alone, the first track's for each, or not at all. */
  readonly interleaved?: "first" | "repeated" | "missing" | undefined
  /** Says `RTP/AVP` in the answer to `SETUP`, although it is TCP. */
  readonly saysUdp?: boolean | undefined
  /** Refuses sound: 404 to the `SETUP` of a track of it, 400 to an `ANNOUNCE` that has one. */
  readonly refusesAudio?: boolean | undefined
  /** Knows UDP alone: 461 to every `SETUP` by TCP. */
  readonly udpOnly?: boolean | undefined
  /** How answers number the exchange: `cseq`, or not at all. */
  readonly cseq?: "lowerCase" | "missing" | undefined
  /** Refuses a `DESCRIBE` without `User-Agent`. */
  readonly wantsUserAgent?: boolean | undefined
  /** Refuses a `DESCRIBE` before the first `OPTIONS`, with 455. */
  readonly wantsOptions?: boolean | undefined
  /** Refuses a `PLAY` without `Range`. */
  readonly wantsRange?: boolean | undefined
  /** Refuses a `SETUP` for playing that names a mode. */
  readonly refusesMode?: boolean | undefined
  readonly contentBase?: ContentBaseQuirk | undefined
  /** The type of the description; `missing`, or with a charset. */
  readonly contentType?: "missing" | "withCharset" | undefined
  /** Sends the client elsewhere: 302 to every `DESCRIBE`. */
  readonly redirect?: string | undefined
  /** The life of a session without a request, in seconds, as `SETUP` tells it. Default 60. */
  readonly sessionTimeoutSeconds?: number | undefined
  /** Closes a connection whose session has seen no request for that time. */
  readonly enforcesTimeout?: boolean | undefined
  /** What `Public` lists. Default: everything. */
  readonly publicMethods?: ReadonlyArray<Method> | undefined
  /** Sends an `OPTIONS` to the client once it plays or records. */
  readonly asksOptions?: boolean | undefined
  /** Sends packets of a dead session before every answer, on channel 0 and on one never assigned. */
  readonly strayFrames?: boolean | undefined
  /** Goes on sending after `TEARDOWN`, on channels that were never assigned (old live555). */
  readonly goesOnAfterTeardown?: boolean | undefined
  /** Changes the description before it is sent. */
  readonly sdp?: ((sdp: string) => string) | undefined
}

/** The channel of packets that belong to nobody. */
export const strayChannel = 200
