/** `/metrics`: the registry, the series of each camera, and those of the process. */
import {
  cameraSeries,
  LiveSettings,
  MediaServers,
  Monotonic,
  Ownership,
  reportOf,
  StatusStore
} from "@restream/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { version } from "../version.ts"
import { ProcessSeries } from "./ProcessSeries.ts"

export const route = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const store = yield* StatusStore
    const settings = yield* LiveSettings
    const servers = yield* MediaServers
    const { node } = yield* Ownership
    const process = yield* Effect.acquireRelease(
      Effect.sync(() => new ProcessSeries(version, node)),
      (series) => Effect.sync(() => series.close())
    )
    yield* router.add(
      "GET",
      "/metrics",
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const { stallTimeout } = SubscriptionRef.getUnsafe(settings).relay
        const cameras = cameraSeries(yield* store.all, {
          now,
          stallTimeoutMs: Duration.toMillis(stallTimeout),
          report: (stream) => reportOf(servers.all(), stream)
        })
        const registry = yield* PrometheusMetrics.format()
        return HttpServerResponse.text(
          `${registry.trimEnd()}\n${cameras}${process.render(yield* Monotonic.now)}`,
          { contentType: "text/plain; version=0.0.4; charset=utf-8" }
        )
      })
    )
  })
)
