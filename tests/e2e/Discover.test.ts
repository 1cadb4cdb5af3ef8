import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { restream } from "../kit/Command.ts"
import * as DiscoveryResponder from "../kit/DiscoveryResponder.ts"
import * as OnvifDevice from "../kit/OnvifDevice.ts"
import * as Site from "../kit/Site.ts"

const endpoint = "urn:uuid:2419d68a-2dd2-21b2-a205-ec71db1a1b1c"

/** A device of which one word is hostile. */
const responder = (port: number) =>
  DiscoveryResponder.make({
    endpoint,
    services: `http://127.0.0.1:${port}/onvif/device_service`,
    scopes: "onvif://www.onvif.org/name/=Gate'%22;%1B[2J%0A"
  })

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "restream discover and restream check --find",
  (it) => {
    it.effect("insert a camera by ONVIF, and follow it to another address", () =>
      Effect.gen(function* () {
        const { cameras, env, sql } = yield* Site.asInstalled
        const profiles = [{ token: "t", name: "main", uri: cameras.url("cam1") }]
        const { port } = yield* OnvifDevice.make({ profiles })
        const address = ["--address", `127.0.0.1:${yield* responder(port)}`]
        const discover = (format: string) =>
          restream(["discover", "--seconds", "1", "--format", format, ...address], env)

        const { code, stdout } = yield* discover("insert")
        assert.strictEqual(code, 0)
        yield* sql.unsafe(stdout)
        const check = (...args: ReadonlyArray<string>) => restream(["check", ...args], env)
        assert.match((yield* check()).stdout, /^1 +Gate\S* +onvif +ok +good +h264/m)

        yield* sql`update cameras set host = '127.0.0.9'`
        const found = yield* check("--find", ...address)
        assert.strictEqual(found.code, 1)
        const update = found.stdout.split("\n").filter((line) => line.startsWith("update "))
        assert.deepStrictEqual(update, [
          `update "cameras" set host = '127.0.0.1' where id::text = '1';`
        ])
        // proposed only
        assert.deepStrictEqual(yield* sql`select host from cameras`, [{ host: "127.0.0.9" }])
        yield* sql.unsafe(update.join())
        assert.strictEqual((yield* check()).code, 0)
      })
    )
  }
)

describe("restream discover", () => {
  it.live("prints the strings of a device without control characters", () =>
    Effect.gen(function* () {
      const address = ["--address", `127.0.0.1:${yield* responder(8000)}`]
      const print = (format: string) =>
        Effect.map(
          restream(["discover", "--seconds", "1", "--format", format, ...address]),
          ({ stdout }) => stdout.trimEnd().split("\n").slice(-5)
        )
      const [yaml, csv] = yield* Effect.all([print("yaml"), print("csv")], {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(yaml, [
        '  - name: "Gatex1b2Jn"',
        '    type: "onvif"',
        '    host: "127.0.0.1"',
        "    port: 8000",
        `    device: "${endpoint}"`
      ])
      assert.deepStrictEqual(csv, [
        "name,type,host,port,device",
        `"Gatex1b2Jn","onvif","127.0.0.1","8000","${endpoint}"`
      ])
    })
  )

  it.live("prints what discovery requires when no device responds", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* restream(["discover", "--address", "cam.example"])
      assert.strictEqual(code, 2)
      assert.include(stderr, '--address: "cam.example" is not an IPv4 address with a port or none')
    })
  )
})
