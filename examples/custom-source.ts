// Cameras that an inventory lists over HTTP, as JSON: [{ "id": 7, "name": "Gate", "url": "rtsp://…" }]
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { load } from "@restream/config"
import { CameraSource, CameraSourceError, Polling, Restream, Unavailable } from "@restream/core"
import { Config, Effect, Layer, Result, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientResponse } from "effect/http"

const Rows = Schema.Array(Schema.Record(Schema.String, Schema.Unknown))

const inventory = Layer.effect(
  CameraSource,
  Effect.gen(function* () {
    const url = yield* Config.String("INVENTORY_URL")
    const client = HttpClient.filterStatusOk(yield* HttpClient.HttpClient)
    return yield* Polling.make({
      label: "inventory",
      fetchRows: client.get(url).pipe(
        Effect.flatMap(HttpClientResponse.schemaBodyJson(Rows)),
        // after a failure the running relays go on, and the next fetch comes sooner
        Effect.mapError(
          ({ message }) => new CameraSourceError({ reason: new Unavailable({ detail: message }) })
        )
      ),
      timing: Effect.succeed({ pollInterval: "5 seconds" })
    })
  })
)

const { settings } = Result.getOrThrow(load({ env: process.env }))

Restream.layer(settings).pipe(
  Layer.provide(inventory),
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(NodeServices.layer),
  Layer.launch,
  NodeRuntime.runMain
)
