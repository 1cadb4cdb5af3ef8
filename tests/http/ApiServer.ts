/** The API over a tree of fake cameras, served on a socket. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { type CameraRow, CameraLog, Rates } from "@restream/core"
import { Api, Handlers } from "@restream/core/http"
import { Context, Effect, Layer } from "effect"
import { HttpClient, HttpRouter, HttpServer } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { createServer } from "node:http"
import type { FakeEngine } from "../kit/FakeEngine.ts"
import { type FakeServer, layer as treeLayer, settings } from "../kit/Tree.ts"

/** The tree and the API; gives the base URL, a typed client, and the services of the tree. */
export const serve = Effect.fnUntraced(function* (
  fake: FakeEngine,
  rows: ReadonlyArray<CameraRow>,
  server?: FakeServer
) {
  const tree = Layer.mergeAll(Rates.layer, CameraLog.layer).pipe(
    Layer.provideMerge(treeLayer([fake], rows, server))
  )
  const services = yield* Layer.build(
    HttpRouter.serve(Handlers.layer({ settings, version: "1.2.3" }), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provideMerge(tree),
      Layer.provideMerge(
        NodeHttpServer.layer(createServer, {
          port: 0,
          host: "127.0.0.1",
          gracefulShutdownTimeout: "100 millis"
        })
      ),
      Layer.merge(NodeHttpClient.layerNodeHttp)
    )
  )
  const { address } = Context.get(services, HttpServer.HttpServer)
  const url = HttpServer.formatAddress(address)
  const client = yield* HttpApiClient.makeWith(Api, {
    httpClient: Context.get(services, HttpClient.HttpClient),
    baseUrl: url
  })
  return { url, client, services }
})
