/** The daemon's HTTP server over a tree of fake cameras, on a free port. */
import { start } from "@restream/cli/http"
import type { Settings } from "@restream/config"
import { CameraLog, type CameraRow, Rates } from "@restream/core"
import { Effect, Layer, Redacted, SubscriptionRef } from "effect"
import { type IncomingHttpHeaders, request } from "node:http"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as Log from "../kit/Log.ts"
import { layer as treeLayer, row, settings } from "../kit/Tree.ts"

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Sent {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Served {
  readonly port: number
  readonly log: Log.Log
  /** Sends a request; every header can be set, `Host` included. */
  readonly send: (path: string, sent?: Sent) => Effect.Effect<Answer>
}

export const token = "correct horse battery staple"

/** The cameras 1 (live) and 2 (invalid), and a request function. */
export const serve = Effect.fnUntraced(function* (
  changed: Partial<Settings["http"]> & {
    readonly mediaServer?: Partial<Settings["mediaServer"]>
  } = {},
  rows: ReadonlyArray<CameraRow> = [row(1), row(2, { url: null })],
  fake: FakeEngine.FakeEngine = FakeEngine.make()
) {
  const { mediaServer, ...http } = changed
  const live = yield* SubscriptionRef.make<Settings>({
    ...settings,
    mediaServer: { ...settings.mediaServer, ...mediaServer },
    http: { ...settings.http, port: 0, ...http }
  })
  const tree = Layer.mergeAll(Rates.layer, CameraLog.layer).pipe(
    Layer.provideMerge(treeLayer([fake], rows))
  )
  const log = Log.make()
  yield* log.capture(
    Effect.gen(function* () {
      const services = yield* Layer.build(tree)
      yield* Effect.provideContext(start(live), services)
    })
  )
  const line = yield* log.awaitLine(/listens on http:.*:\d+$/)
  const number = Number(line.split(":").at(-1))
  return {
    port: number,
    log,
    send: (path, { body, headers = {}, method = "GET" } = {}) =>
      Effect.promise(
        () =>
          new Promise<Answer>((resolve, reject) => {
            const sent = request(
              { host: "127.0.0.1", port: number, path, method, headers, agent: false },
              (response) => {
                let text = ""
                response.setEncoding("utf8")
                response.on("data", (chunk: string) => (text += chunk))
                response.on("end", () =>
                  resolve({
                    status: response.statusCode ?? 0,
                    headers: response.headers,
                    body: text
                  })
                )
              }
            )
            sent.on("error", reject)
            sent.end(body)
          })
      )
  } satisfies Served
})

export const withToken: Partial<Settings["http"]> = { token: Redacted.make(token) }
