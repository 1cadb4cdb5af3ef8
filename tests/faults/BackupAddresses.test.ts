/** Cameras with several addresses: the next is used while one fails, and a preferred one when it is back. */
import { assert, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, type Given, idOf, row, settingsOf, start } from "../kit/Installation.ts"

/** A camera that can go away: it answers every path with 404 then. */
const switchable = Effect.gen(function* () {
  let isUp = true
  const server = yield* RtspServer.make({ resolve: () => (isUp ? "cam" : "none") })
  yield* TestPattern.publish(server, "cam")
  return {
    server,
    address: `127.0.0.1:${server.port}`,
    up: () => {
      isUp = true
    },
    /** The camera ends its connections, and has no stream any more. */
    down: Effect.suspend(() => {
      isUp = false
      return server.dropConnections
    })
  }
})

const given: Given = {
  probe: { retryDelays: "100ms", failoverAfter: 2, failbackAfter: "600ms", perHost: 8 },
  relay: { restartDelay: "100ms", restartBackoff: false }
}

const installation = Effect.fnUntraced(function* (more: Given = {}) {
  const { dsn, sql } = yield* database
  const sink = yield* RtspServer.make()
  return {
    sql,
    sink,
    begin: start(
      settingsOf(dsn, sink.port, {
        ...given,
        ...more,
        probe: { ...given["probe"], ...more["probe"] }
      })
    )
  }
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "backup addresses",
  (it) => {
    it.effect("are used after some failures, and left when the first address has answered", () =>
      Effect.gen(function* () {
        const first = yield* switchable
        const second = yield* switchable
        const { begin, sink, sql } = yield* installation()
        yield* first.down
        yield* addRows(sql, [
          row(1, `${first.server.url("main")}\n${second.server.url("sub")}\n`, { name: "Gate" })
        ])
        const tree = yield* begin
        const address = () => Effect.map(tree.status.get(idOf(1)), (camera) => camera?.host)
        const usesWhileLive = (host: string) =>
          tree.until((all) => {
            const camera = all.get("1")
            return camera?.state._tag === "Live" && camera.host === host
          })
        yield* usesWhileLive(second.address)
        assert.strictEqual((yield* tree.status.get(idOf(1)))?.address, second.server.url("sub"))
        assert.deepStrictEqual(tree.log.matching(/using address/), [
          `Warn camera 1 "Gate": address 1 of 2 (${first.address}): no stream at this path (404); check the path of the URL; using address 2 of 2 (${second.address})`
        ])
        const seen = tree.history.length
        first.up()
        yield* tree.log.awaitLine(
          new RegExp(`Info camera 1 "Gate": address 1 of 2 .* answers again; using it instead of`)
        )
        yield* usesWhileLive(first.address)
        assert.strictEqual(yield* address(), first.address)
        // the relay lived until the switch, and nothing failed on the way
        const tags = tree.history.slice(seen).map(({ to }) => to?._tag)
        assert.notIncludeMembers(tags, ["Restarting"])
        assert.notInclude(tags, "Unreachable")
        yield* sink.awaitPackets("cam1")
      })
    )

    it.effect(
      "take over from a camera that dies under its relay, and are never used beside it",
      () =>
        Effect.gen(function* () {
          const first = yield* switchable
          const second = yield* switchable
          const { begin, sql } = yield* installation()
          yield* addRows(sql, [row(1, `${first.server.url("a")}\n${second.server.url("b")}`)])
          const tree = yield* begin
          const live = (host: string) =>
            tree.until((all) => all.get("1")?.state._tag === "Live" && all.get("1")?.host === host)
          yield* live(first.address)
          yield* second.server.awaitConnections(0)
          yield* first.down
          yield* live(second.address)
          yield* first.server.awaitReaders("cam", 0)
        })
    )

    it.effect("are used at once when the first address refuses the password", () =>
      Effect.gen(function* () {
        const locked = yield* RtspServer.make({
          resolve: () => "cam",
          authentication: { username: "admin", password: Redacted.make("other") }
        })
        yield* TestPattern.publish(locked, "cam")
        const second = yield* switchable
        const { begin, sql } = yield* installation({ probe: { failoverAfter: 50 } })
        yield* sql`alter table cameras add column urls text[]`
        yield* addRows(sql, [
          row(1, locked.url("main").replace("//", "//admin:HIDDEN1@"), {
            urls: [second.server.url("main")]
          })
        ])
        const tree = yield* begin
        yield* tree.until(
          (all) => all.get("1")?.state._tag === "Live" && all.get("1")?.host === second.address
        )
        assert.isAtMost(yield* locked.authenticationFailures, 2)
        assert.notInclude(tree.log.everything(), "HIDDEN1")
      })
    )

    it.effect("that all fail are reported once each, and the first that is back is used", () =>
      Effect.gen(function* () {
        const cameras = yield* Effect.all([switchable, switchable, switchable])
        for (const { down } of cameras) yield* down
        const { begin, sql } = yield* installation()
        const urls = cameras.map(({ server }) => server.url("x")).join("\n")
        yield* addRows(sql, [row(1, urls)])
        const tree = yield* begin
        const rounds = () => tree.history.filter(({ to }) => to?._tag === "Probing").length
        yield* tree.until(() => rounds() >= 18)
        assert.lengthOf(tree.log.matching(/^Warn .*using address/), 3)
        cameras[2]!.up()
        yield* tree.until((all) => all.get("1")?.host === cameras[2]!.address)
        yield* tree.awaitState(1, "Live")
        cameras[1]!.up()
        yield* tree.until(
          (all) => all.get("1")?.state._tag === "Live" && all.get("1")?.host === cameras[1]!.address
        )
      })
    )
  }
)
