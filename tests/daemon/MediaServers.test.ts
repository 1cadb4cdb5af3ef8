/** The built daemon with two media servers: rows that move, one that ends, and what check and status say. */
import { assert, layer } from "@effect/vitest"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, Exit, Scope } from "effect"
import { restream } from "../kit/Command.ts"
import * as Daemon from "../kit/Daemon.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Site from "../kit/Site.ts"

interface CheckDocument {
  readonly mediaServer: { readonly problems: ReadonlyArray<string> }
  readonly cameras: ReadonlyArray<{
    readonly id: string
    readonly mediaServerName: string
    readonly playerUrls: { readonly rtsp: string }
    readonly state: string
  }>
}

interface StatusDocument {
  readonly cameras: ReadonlyArray<{ readonly id: string; readonly mediaServerName: string }>
  readonly overview: { readonly causes: ReadonlyArray<{ readonly message: string }> }
}

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
  it.effect("a daemon publishes to several media servers, and moves cameras between them", () =>
    Effect.gen(function* () {
      const { camera, env, insert, sink: hall, sql } = yield* Site.make
      const yardScope = yield* Scope.make()
      const yard = yield* Scope.provide(RtspServer.make(), yardScope)
      const httpPort = yield* freePort
      const site = {
        ...env,
        // an empty variable counts as not set
        MEDIA_SERVER_PORT: "",
        RESTREAM_MEDIA_SERVERS: JSON.stringify({
          hall: { host: "127.0.0.1", port: hall.port },
          yard: { host: "localhost", port: yard.port }
        }),
        RESTREAM_MEDIA_SERVER_CHECK_INTERVAL: "200ms",
        RESTREAM_FAILOVER_AFTER: "1s",
        RESTREAM_HTTP_ENABLED: "yes",
        RESTREAM_HTTP_PORT: String(httpPort)
      }
      const url = camera.url("live")
      yield* insert([
        { url, options: JSON.stringify({ media_server: "hall" }) },
        { url, options: JSON.stringify({ media_server: "yard" }) },
        { url, path: "p1" },
        { url, path: "p3" }
      ])
      const daemon = yield* Daemon.start({ env: site })
      yield* Effect.all(
        [
          hall.awaitPackets("cam1"),
          yard.awaitPackets("cam2"),
          ...["p1", "p3"].map((path) =>
            Effect.raceFirst(hall.awaitPackets(path), yard.awaitPackets(path))
          )
        ],
        { concurrency: "unbounded" }
      )
      const document = JSON.parse(
        (yield* restream(["check", "--json"], site)).stdout
      ) as CheckDocument
      assert.isEmpty(document.mediaServer.problems)
      for (const { mediaServerName, playerUrls, state } of document.cameras) {
        // the check has asked the media server of each camera
        assert.strictEqual(state, "live")
        const port = mediaServerName === "hall" ? hall.port : yard.port
        assert.include(playerUrls.rtsp, `:${port}/`)
      }
      const status = JSON.parse(
        (yield* restream(["status", "--json"], site)).stdout
      ) as StatusDocument
      assert.deepStrictEqual(
        status.cameras.map(({ id, mediaServerName }) => [id, mediaServerName]).sort(),
        document.cameras.map(({ id, mediaServerName }) => [id, mediaServerName]).sort()
      )

      yield* sql`update cameras set options = '{"media_server": "yard"}' where id = 1`
      yield* yard.awaitPackets("cam1")
      assert.isUndefined((yield* hall.path("cam1"))?.publisher)
      yield* sql`update cameras set options = '{"media_server": "cellar"}' where id = 1`
      yield* daemon.awaitLine(/unknown media server \\?"cellar/)
      yield* yard.awaitNoPublisher("cam1")

      yield* Scope.close(yardScope, Exit.void)
      yield* Effect.all([hall.awaitPackets("p1"), hall.awaitPackets("p3")], {
        concurrency: "unbounded"
      })
      const away = JSON.parse((yield* restream(["check", "--json"], site)).stdout) as CheckDocument
      assert.match(
        away.mediaServer.problems.join(),
        /^media server yard \(localhost:\d+\) is unreachable: /
      )
      const said = (yield* restream(["status"], site)).stdout
      assert.match(said, /- media server yard is unreachable: .*\(1 camera\)/)
      assert.match(said, /^2 .* yard /m)
    })
  )
})
