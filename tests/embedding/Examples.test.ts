/** Each program in `examples/` does what it says, run as its reader would run it. */
import { assert, describe, layer } from "@effect/vitest"
import { freePort } from "@restream/core/testing"
import { Effect } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Receiver from "../alerts/Receiver.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Site from "../kit/Site.ts"
import { start } from "../kit/Spawn.ts"

const folder = new URL("../../examples/", import.meta.url).pathname
const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** Starts an example beside a site. */
const run = (
  name: string,
  { env }: { readonly env: Readonly<Record<string, string>> },
  args: ReadonlyArray<string> = [],
  more: Readonly<Record<string, string>> = {}
) => start(process.execPath, [join(folder, name), ...args], { env: { ...env, ...more } })

layer(Postgres.layer, { excludeTestServices: true, timeout: "60 seconds" })("examples", (it) => {
  it("are listed in their README, and tried here", () => {
    const programs = readdirSync(folder).filter((name) => name.endsWith(".ts"))
    const listed = [...read("examples/README.md").matchAll(/\]\(([\w.-]+\.ts)\)/g)]
    assert.deepStrictEqual(listed.map(([, name]) => name).sort(), programs.sort())
  })

  describe.each([
    ["README.md", "one-camera.ts"],
    ["docs/embedding.md", "inside-a-service.ts"],
    ["docs/embedding.md", "custom-source.ts"],
    ["docs/embedding.md", "own-engine.ts"],
    ["docs/embedding.md", "http-api.ts"],
    ["docs/embedding.md", "alerts.ts"],
    ["docs/embedding.md", "fault-camera.test.ts"]
  ])("%s", (document, program) => {
    it(`shows ${program} as it is`, () => {
      assert.include(read(document), `\`\`\`ts\n${read(`examples/${program}`)}\`\`\``)
    })
  })

  it.effect("inside-a-service: relays a table's cameras and answers its own routes", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      yield* site.insert([
        { name: "Gate", path: "gate", type: "acme", host: "127.0.0.1", port: site.camera.port }
      ])
      const service = yield* run("inside-a-service.ts", site)
      yield* site.awaitLive(["gate"])
      const line = yield* service.awaitSaid(/http:\/\/127\.0\.0\.1:\d+/)
      const cameras = yield* Effect.promise(() =>
        fetch(`${line}/cameras`).then((response) => response.json())
      )
      assert.deepStrictEqual(cameras, [{ name: "Gate", is: "Live" }])
    })
  )

  it.effect("custom-source: follows what the inventory lists", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const rows = [{ id: 7, name: "Gate", url: site.camera.url("gate") }]
      const port = yield* freePort
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          createServer((_, response) => response.end(JSON.stringify(rows))).listen(port)
        ),
        (server) => Effect.sync(() => server.close())
      )
      yield* run("custom-source.ts", site, [], { INVENTORY_URL: `http://127.0.0.1:${port}` })
      yield* site.awaitLive(["cam7"])
      rows.pop()
      yield* site.sink.awaitNoPublisher("cam7")
    })
  )

  it.effect("observe-states: prints the changes of a file's cameras", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const path = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-example-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      const file = join(path, "cameras.yaml")
      writeFileSync(file, `- { id: 1, name: Gate, url: "${site.camera.url("gate")}" }\n`)
      const program = yield* run("observe-states.ts", site, [file])
      yield* program.awaitSaid(/\{"id":"1","name":"Gate","state":"Live"\}/)
    })
  )

  it.effect("alerts: notifies a webhook of a camera that is down", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const receiver = yield* Receiver.make()
      const url = `rtsp://127.0.0.1:${yield* freePort}/x`
      yield* run("alerts.ts", site, [], {
        CAMERA_URL: url,
        RESTREAM_ALERTS_AFTER: "1s",
        RESTREAM_ALERTS_WEBHOOKS: JSON.stringify([{ name: "own", url: receiver.url }])
      })
      yield* until("an alert", () => receiver.received.length > 0)
      assert.deepInclude(JSON.parse(receiver.received[0]!.body), { event: "opened", count: 1 })
    })
  )

  it.effect("own-engine: relays a camera by an engine of its own", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const program = yield* run("own-engine.ts", site, [], {
        CAMERA_URL: site.camera.url("gate"),
        RESTREAM_CAMERA_ENGINE: "auto"
      })
      yield* program.awaitSaid(/127\.0\.0\.1 responded after \d/)
      yield* site.awaitLive(["cam1"])
    })
  )
})
