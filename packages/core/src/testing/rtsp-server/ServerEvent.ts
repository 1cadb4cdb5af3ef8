/** The events of the server, and the status of its paths. */
import type { Headers } from "../../rtsp/message/Message.ts"

export type ServerEvent =
  | { readonly _tag: "Connected"; readonly connection: number }
  | {
      readonly _tag: "Request"
      readonly connection: number
      readonly method: string
      readonly path: string
      /** `undefined`: no response was sent. */
      readonly status: number | undefined
      readonly userAgent: string | undefined
      /** All headers except `Authorization`. */
      readonly headers: Headers
    }
  /** A client responded to a request of the server. */
  | { readonly _tag: "ResponseReceived"; readonly connection: number; readonly status: number }
  | { readonly _tag: "Publishing"; readonly connection: number; readonly path: string }
  | { readonly _tag: "Reading"; readonly connection: number; readonly path: string }
  | {
      readonly _tag: "Ended"
      readonly connection: number
      /** `undefined`: the connection had no session. */
      readonly path: string | undefined
      readonly was: "publisher" | "reader" | undefined
      /** For display. */
      readonly why: string
      /** Whether the client sent `TEARDOWN`. */
      readonly tornDown: boolean
    }

export interface PublisherStatus {
  /** 0 for an in-process publisher. */
  readonly connection: number
  readonly tracks: ReadonlyArray<{
    readonly kind: string
    /** By ffmpeg's name. */
    readonly codec: string
    readonly packets: number
  }>
}

export interface ReaderStatus {
  readonly connection: number
  /** Frames sent to the reader, and their bytes. */
  readonly packets: number
  readonly bytes: number
  /** Frames dropped because the reader was too slow. */
  readonly dropped: number
  /** RTCP packets received from the reader. */
  readonly reports: number
}

export interface PathStatus {
  readonly path: string
  readonly publisher: PublisherStatus | undefined
  readonly readers: ReadonlyArray<ReaderStatus>
  /** Frames received from publishers of the path, and their bytes; never reset. */
  readonly packets: number
  readonly bytes: number
  /** The number of publishers so far. */
  readonly publishers: number
  /** Requests with a wrong password. */
  readonly authenticationFailures: number
}
