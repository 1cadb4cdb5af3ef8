/** The API of one node of a cluster, as it shows the cameras of all, with built daemons. */
import { assert, layer } from "@effect/vitest"
import { freePort } from "@restream/core/testing"
import type { CameraDetail, CameraList, CommandResult, Overview } from "@restream/core/http"
import { Effect } from "effect"
import { restream } from "../kit/Command.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as NodeSite from "./NodeSite.ts"

const cameras = 12
const token = "a long random text"

/** The cameras by the node that has them, as events say. */
const follow = Effect.fnUntraced(function* (url: string) {
  const nodeOf = new Map<string, string | undefined>()
  const controller = new AbortController()
  yield* Effect.addFinalizer(() => Effect.sync(() => controller.abort()))
  const response = yield* Effect.promise(() =>
    fetch(`${url}/api/events`, {
      headers: { authorization: `Bearer ${token}` },
      signal: controller.signal
    })
  )
  const apply = (text: string) => {
    const [, event] = /^event: (.*)$/m.exec(text) ?? []
    if (event !== "snapshot" && event !== "cameras") return
    const changes = JSON.parse(/^data: (.*)$/m.exec(text)![1]!)
    if (event === "snapshot") nodeOf.clear()
    for (const { id, node } of changes.cameras) nodeOf.set(id, node)
    for (const id of changes.removed) nodeOf.delete(id)
  }
  yield* Effect.promise(async () => {
    let rest = ""
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const events = (rest + chunk).split("\n\n")
      rest = events.pop() ?? ""
      events.forEach(apply)
    }
  }).pipe(Effect.ignoreCause, Effect.forkScoped)
  return nodeOf
})

layer(Postgres.layer, { excludeTestServices: true, timeout: "90 seconds" })((it) => {
  it.effect("shows and commands the cameras of all nodes, also after the loss of two", () =>
    Effect.gen(function* () {
      const { initialize, settled, site, start } = yield* NodeSite.make(cameras)
      yield* initialize
      const startNode = Effect.fnUntraced(function* (name: string) {
        const port = yield* freePort
        const { daemon } = yield* start(name, {
          RESTREAM_HTTP_ENABLED: "yes",
          RESTREAM_HTTP_PORT: String(port),
          RESTREAM_HTTP_TOKEN: token
        })
        return { daemon, port, url: `http://127.0.0.1:${port}` }
      })
      const [a, b, c] = yield* Effect.all(["a", "b", "c"].map(startNode), {
        concurrency: "unbounded"
      })
      yield* settled("a", "b", "c")

      const ask = <A>(path: string, method = "GET") =>
        Effect.promise(async () => {
          const response = await fetch(`${a!.url}${path}`, {
            method,
            headers: { authorization: `Bearer ${token}` }
          })
          return {
            status: response.status,
            response,
            body: (await response
              .clone()
              .json()
              .catch(() => undefined)) as A
          }
        })
      const overview = Effect.map(ask<Overview>("/api/overview"), ({ body }) => body)
      const list = Effect.map(ask<CameraList>("/api/cameras"), ({ body }) => body)
      const nodesOf = ({ cameras }: CameraList) =>
        [...new Set(cameras.map(({ node }) => node))].sort()

      const whole = yield* Effect.repeat(list, { until: ({ tally }) => tally.ok === cameras })
      assert.strictEqual(whole.total, cameras)
      assert.deepStrictEqual(nodesOf(whole), ["a", "b", "c"])
      assert.deepStrictEqual(
        (yield* overview).nodes?.map(({ name, problem, state, tally }) => [
          name,
          state,
          problem,
          tally?.ok
        ]),
        ["a", "b", "c"].map((name) => [
          name,
          "ok",
          null,
          whole.cameras.filter(({ node }) => node === name).length
        ])
      )
      const own = yield* ask<CameraList>("/api/cameras?scope=node")
      assert.deepStrictEqual(nodesOf(own.body), ["a"])

      const { id } = whole.cameras.find(({ node }) => node === "b")!
      assert.strictEqual((yield* ask<CameraDetail>(`/api/cameras/${id}`)).body.node, "b")
      assert.strictEqual((yield* ask(`/api/cameras/${id}?scope=node`)).status, 404)
      const retried = yield* ask<CommandResult>(`/api/cameras/${id}/retry`, "POST")
      assert.strictEqual(retried.status, 202)
      assert.strictEqual(retried.body.message, "the camera is live; nothing to retry")
      const { response } = yield* ask(`/api/cameras/${id}/picture`)
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("content-type"), "video/mp4")
      assert.isAbove((yield* Effect.promise(() => response.arrayBuffer())).byteLength, 100)

      const env = { ...site.env, RESTREAM_HTTP_PORT: String(a!.port), RESTREAM_HTTP_TOKEN: token }
      const shown = yield* restream(["status", "--all"], env)
      assert.match(shown.stdout, /^3 nodes: All 12 cameras are live/)
      assert.match(shown.stdout, /^ID .* NODE /m)
      assert.match((yield* restream(["status", id], env)).stdout, /^ {2}node +b$/m)
      const restarted = yield* restream(["restart", id], env)
      assert.strictEqual(restarted.stdout, `camera ${id}: the relay is restarted\n`)

      const nodeOf = yield* follow(a!.url)
      yield* until("all cameras in the events", () => nodeOf.size === cameras)
      process.kill(b!.daemon.pid, "SIGSTOP")
      yield* c!.daemon.signal("SIGKILL")
      yield* until(
        "all cameras at the node that is left",
        () => nodeOf.size === cameras && [...nodeOf.values()].every((node) => node === "a")
      )
      const left = yield* Effect.repeat(list, { until: ({ tally }) => tally.ok === cameras })
      assert.deepStrictEqual(nodesOf(left), ["a"])
      assert.strictEqual((yield* ask(`/api/cameras/${id}/retry`, "POST")).status, 202)
      const frozen = yield* restream(["status"], {
        ...env,
        RESTREAM_HTTP_PORT: String(b!.port)
      })
      assert.strictEqual(
        frozen.stderr.trim(),
        `the daemon at http://127.0.0.1:${b!.port} does not respond`
      )
      process.kill(b!.daemon.pid, "SIGCONT")
    })
  )
})
