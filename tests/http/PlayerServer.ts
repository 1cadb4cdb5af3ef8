/** The WebRTC or HLS server of a media server, which answers as the test says. */
import { Effect } from "effect"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

export interface Heard {
  readonly line: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
  /** Resolves when the response has ended, in either way. */
  readonly closed: Promise<void>
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Whether the connection is cut after the body, which is not whole then. */
  readonly isCut?: boolean
  /** Whether the response stays open after the body. */
  readonly isOpen?: boolean
}

export const playerServer = Effect.fnUntraced(function* (reply: (heard: Heard) => Reply) {
  const requests: Array<Heard> = []
  const server = createServer((request, response) => {
    let body = ""
    const closed = new Promise<void>((resolve) => response.on("close", () => resolve()))
    request.on("data", (chunk: Buffer) => (body += chunk.toString()))
    request.on("end", () => {
      const heard = {
        line: `${request.method} ${request.url}`,
        headers: request.headers,
        body,
        closed
      }
      requests.push(heard)
      const { body: answer, headers, isCut = false, isOpen = false, status } = reply(heard)
      response.writeHead(status, headers)
      if (isCut) response.write(answer, () => response.destroy())
      else if (isOpen) response.write(answer)
      else response.end(answer)
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )
  return { requests, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})
