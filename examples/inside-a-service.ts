// A service with a database and HTTP routes of its own, which also relays the cameras of a table.
import { NodeHttpServer, NodeRuntime, NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { load } from "@restream/config"
import { CameraType, Restream, StatusStore, vendorColumns, vendorUrl } from "@restream/core"
import { Config, Effect, Layer, Result } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"

// the daemon's settings, from the environment: MEDIA_SERVER_HOST, RESTREAM_DATABASE_TABLE, …
const { settings } = Result.getOrThrow(load({ env: process.env }))

const acme = CameraType.make({
  name: "acme",
  // with port, username and password, if the row has them
  columns: vendorColumns,
  toUrl: (columns) => vendorUrl(columns, `/live/${columns.channel ?? 1}`)
})

const cameras = HttpRouter.add(
  "GET",
  "/cameras",
  Effect.gen(function* () {
    const status = yield* StatusStore
    const all = yield* status.all
    return yield* HttpServerResponse.json(all.map(({ name, state }) => ({ name, is: state._tag })))
  })
)

HttpRouter.serve(cameras).pipe(
  Layer.provide(Restream.layer(settings, [acme])),
  Layer.provide(Restream.cameraTable(settings, [acme])),
  Layer.provide(PgClient.layerConfig({ url: Config.Redacted("PG_DSN") })),
  Layer.provide(NodeServices.layer),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 8080 })),
  Layer.launch,
  NodeRuntime.runMain
)
