import { NodeHttpServer, NodeRuntime, NodeServices } from "@effect/platform-node"
import { defaultSettings } from "@restream/config"
import { MemoryCameraSource, Restream } from "@restream/core"
import { Handlers } from "@restream/core/http"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"

const cameras = MemoryCameraSource.layer([{ id: 1, url: "rtsp://10.0.0.5/live" }])

HttpRouter.serve(Handlers.layer({ settings: defaultSettings, version: "1.0.0" })).pipe(
  Layer.provide(Restream.layer(defaultSettings)),
  Layer.provide(cameras),
  Layer.provide(NodeServices.layer),
  Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port: 9995 })),
  Layer.launch,
  NodeRuntime.runMain
)
