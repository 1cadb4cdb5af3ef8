/** What the embedded server tells of itself: events as they happen, and the state of its paths. */
import type { Headers } from "../../rtsp/message/Message.ts"

export type ServerEvent =
  | { readonly _tag: "Connected"; readonly connection: number }
  | {
      readonly _tag: "Request"
      readonly connection: number
      readonly method: string
      readonly path: string
      /** `undefined`: the request was left without an answer. */
      readonly status: number | undefined
      readonly userAgent: string | undefined
      /** All but `Authorization`. */
      readonly headers: Headers
    }
  /** A client answered a request of ours. */
  | { readonly _tag: "Answered"; readonly connection: number; readonly status: number }
  | { readonly _tag: "Publishing"; readonly connection: number; readonly path: string }
  | { readonly _tag: "Reading"; readonly connection: number; readonly path: string }
  | {
      readonly _tag: "Ended"
      readonly connection: number
      /** `undefined`: it neither published nor read. */
      readonly path: string | undefined
      readonly was: "publisher" | "reader" | undefined
      /** For people. */
      readonly why: string
      /** Whether it went with a `TEARDOWN`. */
      readonly tornDown: boolean
    }

export interface PublisherStatus {
  /** 0 for a publisher within the program. */
  readonly connection: number
  readonly tracks: ReadonlyArray<{
    readonly kind: string
    /** As ffmpeg names it. */
    readonly codec: string
    readonly packets: number
  }>
}

export interface ReaderStatus {
  readonly connection: number
  /** Frames that went to the reader, and their bytes. */
  readonly packets: number
  readonly bytes: number
  /** Frames that were dropped because the reader was too slow. */
  readonly dropped: number
  /** RTCP packets that came from it. */
  readonly reports: number
}

export interface PathStatus {
  readonly path: string
  readonly publisher: PublisherStatus | undefined
  readonly readers: ReadonlyArray<ReaderStatus>
  /** Frames that came from publishers of the path, and their bytes; they only grow. */
  readonly packets: number
  readonly bytes: number
  /** How many publishers there have been. */
  readonly publishers: number
  /** Requests with a wrong password. */
  readonly authenticationFailures: number
}
