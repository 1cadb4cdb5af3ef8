/** A response of the server. */
import type { Headers } from "../../rtsp/message/Message.ts"

export interface ServerResponse {
  readonly status: number
  readonly headers?: Headers
  readonly body?: string
  /** Closes the connection after the response, for this reason: media servers do so with every rejection. */
  readonly close?: string
}
