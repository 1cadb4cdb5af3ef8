/** A name server that never answers, beside cameras, a media server and a database that do not need it. */
import { assert, layer } from "@effect/vitest"
import { HostResolver, NameLookup } from "@restream/core"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Redacted } from "effect"
import { writeFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NameServer from "../kit/NameServer.ts"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, row, settingsOf, start } from "../kit/Installation.ts"

const count = 20
const byName = Array.from({ length: count }, (_, index) => index + 1)
const byAddress = byName.map((id) => count + id)

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })(
  "a name server that never answers",
  (it) => {
    it.effect("delays nothing but the cameras that need it", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const cameras = yield* RtspServer.make({ resolve: () => "cam" })
        yield* TestPattern.publish(cameras, "cam")
        const sink = yield* RtspServer.make()
        yield* addRows(sql, [
          ...byName.map((id) => row(id, `rtsp://cam${id}.test:554/cam`)),
          ...byAddress.map((id) => row(id, cameras.url(`cam?${id}`)))
        ])
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-hosts-"))),
          (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
        )
        const hostsFile = join(folder, "hosts")
        writeFileSync(hostsFile, "127.0.0.1 media.test db.test\n")
        const { asked, server } = yield* NameServer.make(() => undefined)
        const resolver = HostResolver.make(NameLookup.make({ hostsFile, servers: [server] }))

        const startedAt = Date.now()
        const tree = yield* start(
          settingsOf(
            Redacted.make(Redacted.value(dsn).replace("127.0.0.1", "db.test")),
            sink.port,
            {
              mediaServer: { host: "media.test" },
              probe: { perHost: count }
            }
          )
        ).pipe(Effect.provideService(HostResolver.HostResolver, resolver))
        yield* tree.until((states) =>
          byAddress.every((id) => states.get(String(id))?.state._tag === "Live")
        )
        const liveAfter = Date.now() - startedAt
        yield* Effect.logInfo(`cameras by address live after ${liveAfter} ms`)
        // every name that is not in the hosts file was asked for, and none of the others
        const names = new Set(asked)
        assert.isTrue(byName.every((id) => names.has(`cam${id}.test`)))
        assert.isFalse(names.has("media.test") || names.has("db.test"))

        yield* tree.until((states) =>
          byName.every((id) => {
            const state = states.get(String(id))?.state
            return (
              state?._tag === "Unreachable" &&
              state.reason._tag === "DnsError" &&
              state.reason.why === "NoAnswer"
            )
          })
        )
        // the database is read and the media server is asked meanwhile
        assert.strictEqual((yield* tree.mediaServer.status)._tag, "Up")
        assert.isTrue(yield* tree.mediaServer.checkNow)
        yield* sql`delete from cameras where id = ${byAddress[0]}`
        yield* tree.until((states) => !states.has(String(byAddress[0])))
        assert.isEmpty(
          tree.history.filter(
            ({ id, to }) =>
              Number(id) > count && (to?._tag === "Unreachable" || to?._tag === "Restarting")
          )
        )
      })
    )
  }
)
