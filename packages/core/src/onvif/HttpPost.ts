/**
 * One HTTP request on a new connection of the RTSP dialer, with its name resolution, certificate checks and
 * deadline.
 */
import * as Effect from "effect/Effect"
import { request } from "node:http"
import { bracketed } from "@restream/config"
import { Closed, ProtocolError, TimedOut } from "../camera/Reason.ts"
import { dial, type Endpoint } from "../rtsp/client/Dialer.ts"
import { RtspError } from "../rtsp/client/RtspError.ts"
import type { Response } from "../rtsp/message/Message.ts"
import * as Deadline from "../time/Deadline.ts"

export interface PostOptions {
  readonly endpoint: Endpoint
  readonly deadline: Deadline.Deadline
  /** The path with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The name of the operation, for messages. */
  readonly operation: string
}

/** The longest response that is read, in bytes. A recorder of 64 channels sends less than 500 KB of profiles. */
const maxBodyBytes = 4_194_304

const phase = "requesting the stream"

/** Sends a POST request; redirects are not followed. */
export const post = ({
  body,
  deadline,
  endpoint,
  headers,
  operation,
  path
}: PostOptions): Effect.Effect<Response, RtspError> =>
  Effect.gen(function* () {
    const socket = yield* dial({
      ...endpoint,
      deadline,
      sharedBuffer: false,
      receive: () => {}
    })
    return yield* Effect.callback<Response, RtspError>((resume) => {
      const fail = (reason: Closed | ProtocolError) =>
        resume(Effect.fail(new RtspError({ reason })))
      const closed = (code?: string) =>
        fail(new Closed({ phase, request: operation, ...(code !== undefined && { code }) }))
      const sent = request({
        method: "POST",
        path,
        headers: {
          Host: `${bracketed(endpoint.host)}:${endpoint.port}`,
          Connection: "close",
          "Content-Length": Buffer.byteLength(body),
          ...headers
        },
        createConnection: () => socket
      })
      sent.on("error", ({ code }: NodeJS.ErrnoException) =>
        code?.startsWith("HPE_") === true
          ? fail(new ProtocolError({ detail: `the response to ${operation} is not HTTP` }))
          : closed(code)
      )
      sent.on("response", (response) => {
        const chunks: Array<Buffer> = []
        let length = 0
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk)
          length += chunk.length
          if (length <= maxBodyBytes) return
          fail(new ProtocolError({ detail: `the response to ${operation} is too long` }))
          socket.destroy()
        })
        response.on("error", ({ code }: NodeJS.ErrnoException) => closed(code))
        response.on("end", () =>
          resume(
            Effect.succeed({
              _tag: "Response",
              status: response.statusCode ?? 0,
              reason: response.statusMessage ?? "",
              headers: Array.from({ length: response.rawHeaders.length / 2 }, (_, index) => [
                response.rawHeaders[2 * index] ?? "",
                response.rawHeaders[2 * index + 1] ?? ""
              ]),
              body: Buffer.concat(chunks)
            })
          )
        )
      })
      sent.end(body)
      return Effect.sync(() => socket.destroy())
    }).pipe(
      Deadline.by(deadline, (afterMs) =>
        Effect.fail(new RtspError({ reason: new TimedOut({ phase, request: operation, afterMs }) }))
      )
    )
  }).pipe(Effect.scoped)
