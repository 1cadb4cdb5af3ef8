import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { NameLookup } from "@restream/core"
import * as NameServer from "../kit/NameServer.ts"

const hostsFile = (text: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "restream-hosts-"))
      writeFileSync(join(folder, "hosts"), text)
      return { folder, hostsFile: join(folder, "hosts") }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

const found = (...addresses: ReadonlyArray<string>): NameLookup.Answer => ({
  _tag: "Found",
  addresses
})

describe("NameLookup", () => {
  it("reads a hosts file", () => {
    const hosts = NameLookup.parseHosts(
      "# comment\n127.0.0.1\tlocalhost\n10.0.0.5  Cam7.example cam7 # gate\r\n\nfe80::1%eth0 cam7\nnonsense cam8\n"
    )
    assert.deepStrictEqual(
      [...hosts],
      [
        ["localhost", ["127.0.0.1"]],
        ["cam7.example", ["10.0.0.5"]],
        ["cam7", ["10.0.0.5", "fe80::1%eth0"]]
      ]
    )
  })

  it.live("takes a name from the hosts file while the name server is silent", () =>
    Effect.gen(function* () {
      const { asked, server } = yield* NameServer.make(() => undefined)
      const { hostsFile: file } = yield* hostsFile("10.0.0.9 media.test\n")
      const lookUp = NameLookup.make({ hostsFile: file, servers: [server] })
      assert.deepStrictEqual(yield* lookUp("media.test"), found("10.0.0.9"))
      writeFileSync(file, "10.0.0.10 media.test\n")
      // a change within the resolution of the file's time
      utimesSync(file, 1, 1)
      assert.deepStrictEqual(yield* lookUp("media.test"), found("10.0.0.10"))
      // the same file, moved away and back
      renameSync(file, `${file}.moved`)
      assert.notDeepEqual(yield* lookUp("media.test"), found("10.0.0.10"))
      renameSync(`${file}.moved`, file)
      const before = asked.length
      assert.deepStrictEqual(yield* lookUp("media.test"), found("10.0.0.10"))
      assert.deepStrictEqual(yield* lookUp("localhost"), found("127.0.0.1", "::1"))
      assert.strictEqual(asked.length, before)
    })
  )

  it.live("answers for one name while twenty others get no answer", () =>
    Effect.gen(function* () {
      const { server } = yield* NameServer.make((name) =>
        name === "good.test" ? ["10.0.0.9", "10.0.0.10"] : undefined
      )
      const lookUp = NameLookup.make({ hostsFile: "/nowhere", servers: [server] })
      const silent = Array.from({ length: 20 }, (_, index) => lookUp(`silent${index}.test`))
      const answer = yield* Effect.raceFirst(
        Effect.andThen(Effect.all(silent, { concurrency: "unbounded" }), Effect.succeed("late")),
        // after them
        Effect.andThen(Effect.yieldNow, lookUp("good.test"))
      )
      assert.deepStrictEqual(answer, found("10.0.0.9", "10.0.0.10"))
    })
  )

  it.live("distinguishes a failing name server from a name without an address", () =>
    Effect.gen(function* () {
      const { server } = yield* NameServer.make((name) =>
        name.startsWith("failing") ? "servfail" : "nxdomain"
      )
      const lookUp = NameLookup.make({ hostsFile: "/nowhere", servers: [server] })
      assert.deepStrictEqual(yield* lookUp("failing.test"), { _tag: "NoAnswer" })
      // then the system is asked, and RFC 6761 reserves the name
      assert.notStrictEqual((yield* lookUp("cam7.invalid"))._tag, "Found")
    })
  )

  it.live(
    "gives up on a silent name server",
    () =>
      Effect.gen(function* () {
        const { server } = yield* NameServer.make(() => undefined)
        const lookUp = NameLookup.make({ hostsFile: "/nowhere", servers: [server] })
        assert.deepStrictEqual(yield* lookUp("cam7.test"), { _tag: "NoAnswer" })
      }),
    20_000
  )
})
