import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { defaultSettings } from "@restream/config"
import { MemoryCameraSource, Restream } from "@restream/core"
import { Layer } from "effect"

Restream.layer(defaultSettings).pipe(
  Layer.provide(MemoryCameraSource.layer([{ id: 1, url: "rtsp://10.0.0.5/live" }])),
  Layer.provide(NodeServices.layer),
  Layer.launch,
  NodeRuntime.runMain
)
