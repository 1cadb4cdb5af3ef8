/** A webhook that is a real HTTP server, with answers that a test chooses. */
import type { Webhook } from "@restream/config"
import { Effect, Redacted } from "effect"
import { createServer, type IncomingHttpHeaders, type Server } from "node:http"

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** By the clock of the test. */
  readonly at: number
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Receiver {
  readonly port: number
  readonly url: string
  readonly received: Array<Received>
  /** What it answers from now on; `undefined`: nothing, ever. Default: 200. */
  answer: (request: Received) => Answer | undefined
}

/** Listens on a free port of loopback, in the scope. */
export const make = Effect.fnUntraced(function* () {
  const clock = yield* Effect.clockWith(Effect.succeed)
  const received: Array<Received> = []
  const receiver: Receiver = { port: 0, url: "", received, answer: () => ({ status: 200 }) }
  const server = yield* Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8")
        request.on("data", (chunk: string) => (body += chunk))
        request.on("end", () => {
          const one = {
            method: request.method ?? "",
            path: request.url ?? "",
            headers: request.headers,
            body,
            at: clock.currentTimeMillisUnsafe()
          }
          received.push(one)
          const answer = receiver.answer(one)
          if (answer === undefined) return
          response.writeHead(answer.status, answer.headers)
          response.end(answer.body)
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  const address = server.address()
  const port = typeof address === "object" && address !== null ? address.port : 0
  return Object.assign(receiver, { port, url: `http://127.0.0.1:${port}` })
})

export const webhook = (
  name: string,
  url: string,
  {
    format = "json",
    secret
  }: { readonly format?: Webhook["format"]; readonly secret?: string } = {}
): Webhook => ({
  name,
  url: Redacted.make(url),
  format,
  secret: secret === undefined ? undefined : Redacted.make(secret)
})
