/** `restream check --explain`. */
import { assert, layer } from "@effect/vitest"
import { freePort, RtspServer, TestPattern } from "@restream/core/testing"
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { restream } from "../kit/Command.ts"

const password = "Pa55word"

const make = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-explain-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const cameras = yield* RtspServer.make()
  yield* TestPattern.publish(cameras, "gate")
  yield* cameras.configure("gate", {
    authentication: {
      username: "admin",
      password: Redacted.make(password),
      actions: ["read"]
    }
  })
  const closed = yield* freePort
  const { hostname, port } = new URL(cameras.url("gate"))
  const file = join(folder, "cameras.yaml")
  writeFileSync(
    file,
    JSON.stringify([
      {
        id: "gate",
        type: "acme",
        host: hostname,
        port,
        username: "admin",
        password,
        options: { audio: "drop" }
      },
      { id: "closed", url: `rtsp://admin:${password}@localhost:${closed}/` },
      { id: "bad", type: "hikvision", password },
      {
        id: "two",
        type: "hikvision",
        host: "127.0.0.1",
        port: closed,
        streams: ["main", "sub"]
      },
      {
        id: "many",
        urls: [cameras.url("yard"), cameras.url("gate")],
        url_sub: cameras.url("gate"),
        url_third: cameras.url("gate"),
        streams: ["main", "sub"]
      }
    ]),
    { mode: 0o600 }
  )
  const settings = join(folder, "restream.yaml")
  writeFileSync(
    settings,
    `source: { file: cameras.yaml }\ncameraTypes: { acme: "rtsp://{username}:{password}@{host}:{port}/gate" }\n`
  )
  const address = `rtsp://***@${hostname}:${port}/gate`
  const explain = (id: string) =>
    Effect.tap(
      restream(["check", "--config", settings, "--explain", id], {
        MEDIA_SERVER_PORT: String(closed)
      }),
      ({ stderr, stdout }) => Effect.sync(() => assert.notInclude(stdout + stderr, password))
    )
  return { address, closed, explain, hostname, port }
})

layer(Layer.empty, { timeout: "60 seconds", excludeTestServices: true })(
  "restream check --explain",
  (it) => {
    it.effect("shows how the address came about, and each step of the probe", () =>
      Effect.gen(function* () {
        const { address, explain, hostname, port } = yield* make
        const { code, stdout } = yield* explain("gate")
        assert.strictEqual(code, 0)
        const lines = stdout.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  ").trim())
        for (const line of [
          "id  gate  identifies the camera; part of the path",
          "username  ***  part of the address",
          "password  ***  part of the address",
          `address  ${address}  type acme`,
          "path  camgate  mediaServer.pathTemplate cam{id}",
          "audio  drop  column options",
          "transport  tcp  camera.transport"
        ]) {
          assert.include(lines, line)
        }
        const steps = lines.slice(lines.findIndex((line) => line.startsWith("STEP")) + 1)
        assert.deepStrictEqual(
          steps.map((line) => line.replace(/\d+\.\d ms/, "MS")),
          [
            "open with native  MS  ok",
            `connect to ${hostname}:${port}  MS  ok`,
            "DESCRIBE  MS  401 Unauthorized",
            "DESCRIBE with credentials  MS  200 OK",
            "",
            "ok, read by native",
            ""
          ]
        )
      })
    )

    it.effect("shows the step that failed, and names the entry of the documentation", () =>
      Effect.gen(function* () {
        const { closed, explain } = yield* make
        const { code, stdout } = yield* explain("closed")
        assert.strictEqual(code, 1)
        assert.match(
          stdout,
          new RegExp(`connect to localhost:${closed} +\\d+\\.\\d ms +connection refused by`)
        )
        assert.match(stdout, /^ +resolve localhost +\d+\.\d ms +.*127\.0\.0\.1/m)
        assert.match(stdout, /; see restream explain Refused\n$/)
      })
    )

    it.effect("shows each stream of a camera", () =>
      Effect.gen(function* () {
        const { explain } = yield* make
        const { code, stdout } = yield* explain("two")
        assert.strictEqual(code, 1)
        const lines = stdout.split("\n").map((line) => line.replaceAll(/ {2,}/g, "  ").trim())
        assert.include(lines, 'streams  ["main","sub"]  streams to relay')
        assert.include(lines, "path  camtwo_sub  mediaServer.pathTemplate cam{id}, with _sub")
        assert.isTrue(lines.some((line) => line.startsWith("two:sub: connection refused by ")))
      })
    )

    it.effect("explains the columns of further addresses and streams", () =>
      Effect.gen(function* () {
        const { explain } = yield* make
        const { stdout } = yield* explain("many")
        assert.match(stdout, /^urls +\S+ +addresses, the preferred one first$/m)
        assert.match(stdout, /^url +- +optional, with urls$/m)
        assert.match(stdout, /^url_sub +\S+ +address of the stream sub$/m)
        assert.match(stdout, /^url_third +\S+ +not used: the column streams does not list third$/m)
      })
    )

    it.effect("shows what an invalid row lacks", () =>
      Effect.gen(function* () {
        const { explain } = yield* make
        const { code, stdout } = yield* explain("bad")
        assert.strictEqual(code, 1)
        assert.match(stdout, /^host +- +required, and missing$/m)
        assert.match(stdout, /\n\ninvalid row: column host is missing\n$/)
        const unknown = yield* explain("nobody")
        assert.strictEqual(unknown.code, 2)
        assert.strictEqual(unknown.stderr, "--explain: no enabled camera has the id nobody\n")
      })
    )
  }
)
