/**
 * What `restream check` finds out about the media server, with the embedded server, and with MediaMTX where
 * `MEDIAMTX_BIN` names one.
 */
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings, type Settings } from "@restream/config"
import { MediaPath, PublishedStreams, ServerCheck } from "@restream/core"
import { freePort, RtspServer } from "@restream/core/testing"
import { Effect, PubSub, Redacted, Result } from "effect"
import { camera } from "../engine/Streams.ts"
import { configured } from "../rtsp/MediaMtx.ts"
import { mediaMtx, skipped } from "../rtsp/Peers.ts"
import { publish } from "./ApiServers.ts"

if (mediaMtx === undefined) skipped("the check of MediaMTX", "MEDIAMTX_BIN names no binary")

const cameras = (...paths: ReadonlyArray<string>) =>
  paths.map((path) => ({ path: Result.getOrThrow(MediaPath.parse(path)) }))

const problemsOf = (
  port: number,
  paths: ReadonlyArray<string>,
  changed: Partial<Settings["mediaServer"]> = {}
) =>
  ServerCheck.run(
    { ...defaultSettings, mediaServer: { ...defaultSettings.mediaServer, port, ...changed } },
    cameras(...paths)
  )

const credentials = { username: "restream", password: Redacted.make("secret") }

describe("ServerCheck", () => {
  it.live("finds nothing wrong, and touches no path with a publisher", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const publisher = yield* publish({ at: server.url }, "cam1", "Lavf")
      const events = yield* server.events
      assert.deepStrictEqual(yield* problemsOf(server.port, ["cam1", "cam2", "cam3"]), [])
      yield* server.awaitConnections(1)
      const seen = yield* PubSub.takeAll(events)
      const requests = seen.flatMap((event) =>
        event._tag === "Request" ? [`${event.method} ${event.path}`] : []
      )
      assert.deepStrictEqual(
        requests.filter((one) => !/^OPTIONS|^DESCRIBE/.test(one)),
        ["ANNOUNCE cam2"]
      )
      assert.isFalse(publisher.connection.isClosed)
    })
  )

  it.live("does not ask again for what PublishedStreams asked for", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make()
      const settings = {
        ...defaultSettings,
        mediaServer: { ...defaultSettings.mediaServer, port: server.port }
      }
      const paths = ["cam1", "cam2"]
      const events = yield* server.events
      const published = yield* PublishedStreams.make(settings)
      yield* Effect.forEach(paths, (path) =>
        published.find({ ...camera("rtsp://10.0.0.1/live"), ...cameras(path)[0] })
      )
      yield* ServerCheck.run(settings, cameras(...paths), published)
      const seen = yield* PubSub.takeAll(events)
      const asked = (method: string) =>
        seen.flatMap((event) =>
          event._tag === "Request" && event.method === method ? [event.path] : []
        )
      assert.deepStrictEqual(asked("DESCRIBE"), paths)
      assert.lengthOf(asked("OPTIONS"), 1)
    })
  )

  it.live("tests publishing on a path by the template where there is no camera", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { ...credentials, actions: ["publish"] }
      })
      const wrong = { ...credentials, password: Redacted.make("other") }
      const [problem] = yield* problemsOf(server.port, [], wrong)
      assert.include(problem, "publishing: the media server refuse")
      assert.deepStrictEqual(yield* problemsOf(server.port, [], credentials), [])
    })
  )

  it.live("reports a server that is not running", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      assert.deepStrictEqual(yield* problemsOf(port, ["cam1"]), [
        `media server 127.0.0.1:${port} is unreachable: connection refused by 127.0.0.1:${port}; no camera can be published`
      ])
    })
  )

  it.live("reports which paths are not allowed, and that publishing requires credentials", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({
        authentication: { ...credentials, actions: ["publish"] },
        settings: (path) =>
          path.startsWith("x") ? { quirks: { rejectWith: { DESCRIBE: 400 } } } : undefined
      })
      const label = `media server 127.0.0.1:${server.port}`
      const paths = ["cam1", "x1", "x2", "x3", "x4"]
      const notAllowed = `${label} does not allow paths x1, x2, x3 and 1 more; in MediaMTX, add all_others: or these paths below paths:`
      assert.deepStrictEqual(yield* problemsOf(server.port, paths), [
        notAllowed,
        `${label}, publishing to path cam1: the media server requires a user name and password; set mediaServer.username and mediaServer.password`
      ])
      assert.deepStrictEqual(yield* problemsOf(server.port, paths, credentials), [notAllowed])
    })
  )

  it.live("asks once where reading is not allowed, and tests publishing on a path of its own", () =>
    Effect.gen(function* () {
      const server = yield* RtspServer.make({ authentication: credentials })
      const events = yield* server.events
      const problems = yield* problemsOf(server.port, ["cam1", "cam2", "cam3"])
      assert.lengthOf(problems, 1)
      assert.match(problems[0]!, /publishing: the media server requires a user name and password/)
      const requests = (yield* PubSub.takeAll(events)).flatMap((event) =>
        event._tag === "Request" ? [`${event.method} ${event.path}`] : []
      )
      assert.includeMembers(requests, ["DESCRIBE cam1", "ANNOUNCE cam1-restream-check"])
      assert.notInclude(requests, "DESCRIBE cam2")
      assert.deepStrictEqual(yield* problemsOf(server.port, ["cam1"], credentials), [])
    })
  )
})

describe.skipIf(mediaMtx === undefined)("ServerCheck with MediaMTX", () => {
  const users = (actions: string) => [
    "authInternalUsers:",
    "- user: restream",
    "  pass: secret",
    `  permissions: ${actions}`,
    "- user: any",
    "  permissions: [{action: read}]"
  ]

  it.live("finds nothing wrong, and ends no publisher", () =>
    Effect.gen(function* () {
      const server = yield* configured()
      const running = yield* server.start
      const publisher = yield* publish(server, "cam1", "Lavf")
      assert.deepStrictEqual(yield* problemsOf(server.port, ["cam1", "cam2"]), [])
      assert.isFalse(publisher.connection.isClosed)
      assert.notMatch(running.said(), /is publishing to path 'cam2'/)
    })
  )

  it.live("reports paths that are not configured, and credentials that are missing or wrong", () =>
    Effect.gen(function* () {
      const server = yield* configured(users("[{action: publish}, {action: read}]"), ["cam1:"])
      yield* server.start
      const label = `media server 127.0.0.1:${server.port}`
      const notAllowed = `${label} does not allow path cam2; in MediaMTX, add all_others: or these paths below paths:`
      const paths = ["cam1", "cam2"]
      assert.deepStrictEqual(yield* problemsOf(server.port, paths), [
        notAllowed,
        `${label}, publishing to path cam1: the media server requires a user name and password; set mediaServer.username and mediaServer.password`
      ])
      assert.deepStrictEqual(yield* problemsOf(server.port, paths, credentials), [notAllowed])
    })
  )
})
