/** What the embedded server answers to a request. */
import type { Headers } from "../../rtsp/message/Message.ts"

export interface Answer {
  readonly status: number
  readonly headers?: Headers
  readonly body?: string
  /** Closes the connection behind the answer, and says why: media servers do so with every refusal. */
  readonly close?: string
}
