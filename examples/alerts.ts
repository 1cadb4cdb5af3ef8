// Alerts to the webhooks of RESTREAM_ALERTS_WEBHOOKS, about the cameras of a program.
import { NodeHttpClient, NodeRuntime, NodeServices } from "@effect/platform-node"
import { load } from "@restream/config"
import { LiveSettings, MemoryCameraSource, Restream } from "@restream/core"
import { Alerts } from "@restream/core/alerts"
import { Layer, Result } from "effect"

const { settings } = Result.getOrThrow(load({ env: process.env }))

const cameras = MemoryCameraSource.layer([{ id: 1, url: process.env["CAMERA_URL"] }])

Alerts.layer.pipe(
  Layer.provide(Restream.layer(settings)),
  Layer.provide(cameras),
  Layer.provide(LiveSettings.layer(settings)),
  Layer.provide(NodeHttpClient.layerNodeHttp),
  Layer.provide(NodeServices.layer),
  Layer.launch,
  NodeRuntime.runMain
)
