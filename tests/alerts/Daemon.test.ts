/** The built daemon, with a real database, a real camera and webhooks that are real HTTP servers. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { createHmac } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { restream } from "../kit/Command.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Site from "../kit/Site.ts"
import * as Receiver from "./Receiver.ts"

const secret = "PlantedSecret of the signature"

const webhooks = (own: Receiver.Receiver, ops: Receiver.Receiver) =>
  JSON.stringify([
    { name: "own", url: `${own.url}/PlantedHook`, secret },
    { name: "ops", url: `${ops.url}/services/PlantedPath`, format: "slack" }
  ])

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-alerts-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "restream run with alerts.webhooks",
  (it) => {
    it.effect("notifies of a camera that is down and live again, and ends without a message", () =>
      Effect.gen(function* () {
        const { cameras, env, mediaServer, sql, startDaemon } = yield* Site.asInstalled
        const own = yield* Receiver.make()
        const ops = yield* Receiver.make()
        // a webhook that fails delays nothing
        ops.answer = () => ({ status: 500, body: "PlantedPath" })
        const url = cameras.url("cam1")
        yield* sql`insert into cameras ${sql.insert({ name: "Gate", url })}`
        const folder = yield* temporaryFolder
        const file = join(folder, "restream.yaml")
        writeFileSync(file, "alerts:\n  after: 1s\n")
        const daemon = yield* startDaemon([], { ...env, RESTREAM_CONFIG: file })
        yield* mediaServer.awaitPackets("cam1")
        // the first webhook comes by a reload
        writeFileSync(file, `alerts:\n  after: 1s\n  webhooks: ${webhooks(own, ops)}\n`)
        daemon.process.kill("SIGHUP")
        yield* daemon.awaitSaid(/alerts\.webhooks/)
        assert.lengthOf(own.received, 0)

        const closed = (yield* Effect.scoped(Receiver.make())).port
        yield* sql`update cameras set url = ${`rtsp://admin:PlantedPassword@127.0.0.1:${closed}/x`}`
        yield* until("an alert", () => own.received.length === 1, daemon.said)
        yield* until("an attempt", () => ops.received.length > 0, daemon.said)
        yield* sql`update cameras set url = ${url}`
        yield* until("its end", () => own.received.length === 2, daemon.said)

        const documents = own.received.map(({ body }) => JSON.parse(body))
        assert.deepInclude(documents[0], {
          event: "opened",
          kind: "Refused",
          title: `camera 1 "Gate": connection refused by 127.0.0.1:${closed}`,
          count: 1
        })
        assert.deepInclude(documents[1], { event: "resolved", id: documents[0].id })
        for (const { body, headers, path } of own.received) {
          assert.strictEqual(path, "/PlantedHook")
          const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`
          const signature = createHmac("sha256", secret).update(signed).digest("base64")
          assert.strictEqual(headers["webhook-signature"], `v1,${signature}`)
        }

        // an open alert is not resolved by the end of the daemon
        yield* sql`update cameras set url = ${`rtsp://127.0.0.1:${closed}/x`}`
        yield* until("the second alert", () => own.received.length === 3, daemon.said)
        daemon.process.kill("SIGTERM")
        yield* daemon.ended
        assert.lengthOf(own.received, 3)
        assert.match(daemon.said(), /webhook \\"ops\\" .* does not take alerts: HTTP 500/)
        assert.notMatch(daemon.said(), /Planted/)
        assert.notMatch(own.received.map(({ body }) => body).join(), /Planted/)
      })
    )

    it.effect("is tried by restream alerts test", () =>
      Effect.gen(function* () {
        const own = yield* Receiver.make()
        const ops = yield* Receiver.make()
        const env = { RESTREAM_ALERTS_WEBHOOKS: webhooks(own, ops) }
        const good = yield* restream(["alerts", "test"], env)
        assert.deepStrictEqual(
          [good.code, good.stdout.split("\n").sort().join("\n").trim(), good.stderr],
          [0, "ops: delivered (HTTP 200)\nown: delivered (HTTP 200)", ""]
        )
        assert.strictEqual(JSON.parse(own.received[0]!.body).event, "test")
        assert.match(JSON.parse(ops.received[0]!.body).text, /Test alert from restream/)

        ops.answer = ({ path }) => ({ status: 404, body: `no_service ${path}` })
        const one = yield* restream(["alerts", "test", "ops"], env)
        assert.strictEqual(one.code, 1)
        assert.include(one.stderr, `ops (http://127.0.0.1:${ops.port}/***): HTTP 404: no_service`)
        assert.notMatch(one.stdout + one.stderr, /Planted/)
        assert.lengthOf(own.received, 1)

        const unknown = yield* restream(["alerts", "test", "x"], env)
        assert.strictEqual(unknown.code, 2)
        assert.include(unknown.stderr, "no webhook has the name x; there are own, ops")
        const none = yield* restream(["alerts", "test"])
        assert.strictEqual(none.code, 2)
        assert.include(none.stderr, "no webhook is set; add one to alerts.webhooks")
        const shown = yield* restream(["config"], env)
        assert.include(shown.stdout, "own (json, http://127.0.0.1:")
        assert.notMatch(shown.stdout, /Planted/)
      })
    )
  }
)
