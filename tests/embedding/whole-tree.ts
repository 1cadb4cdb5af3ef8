import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { defaultSettings } from "@restream/config"
import { CameraType, Restream, StatusStore, vendorColumns, vendorUrl } from "@restream/core"
import { Effect, Layer, Redacted, Stream } from "effect"

const acme = CameraType.make({
  name: "acme",
  // with port, username and password, if the row has them
  columns: vendorColumns,
  toUrl: (columns) => vendorUrl(columns, `/live/${columns.channel ?? 1}`)
})

const settings = {
  ...defaultSettings,
  mediaServer: { ...defaultSettings.mediaServer, host: "media.example" }
}

const tree = Restream.layer(settings, [acme]).pipe(
  Layer.provide(Restream.cameraTable(settings)),
  Layer.provide(PgClient.layer({ url: Redacted.make("postgres://restream@db/cameras") })),
  Layer.provide(NodeServices.layer)
)

const watch = Effect.gen(function* () {
  const status = yield* StatusStore
  yield* Stream.runForEach(status.changes, ({ name, to }) =>
    Effect.log(`${name} is ${to?._tag ?? "gone"}`)
  )
})

watch.pipe(Effect.provide(tree), NodeRuntime.runMain)
