/** What a node says of the other nodes of its cluster, with servers that do not answer as a node does. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraId, everyCamera, type NodeView, Ownership } from "@restream/core"
import { freePort } from "@restream/core/testing"
import { Effect, Fiber } from "effect"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { hostname } from "node:os"
import { until, untilEffect } from "../kit/Eventually.ts"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { row } from "../kit/Tree.ts"
import { serve } from "./ApiServer.ts"

const viewOf = (name: string, apiUrl?: string, machine = hostname()): NodeView => ({
  name,
  apiUrl,
  machine,
  isSelf: name === "a",
  isActive: true,
  weight: 1
})

/** The API of a node that has one camera. */
const nodeApi = (name: string, camera: number, nodes: ReadonlyArray<NodeView>) =>
  serve(FakeEngine.make(), [row(camera)]).pipe(
    Effect.provideService(Ownership, { ...everyCamera, node: name, nodes: () => nodes })
  )

/** What the API of a node says when it knows its one camera. */
const reportOf = Effect.fnUntraced(function* (camera: number) {
  const { client } = yield* nodeApi("x", camera, [])
  const { cameras } = yield* Effect.repeat(client.cameras.list({ query: {} }), {
    until: ({ cameras }) => cameras.length === 1
  })
  return { cameras, overview: yield* client.status.overview({ query: {} }) }
})

const server = (listener: RequestListener) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer(listener)
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`))

const answering = (status: number, headers: Record<string, string> = {}, body = "") =>
  server((_, response) => void response.writeHead(status, headers).end(body))

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

describe("the other nodes", () => {
  it.live("are named with what is wrong with them, and keep none from answering", () =>
    Effect.gen(function* () {
      const b = yield* nodeApi("b", 2, [])
      let followed = 0
      const beyond = yield* server(
        (_, response) => void response.writeHead(followed++ && 200).end()
      )
      const others: ReadonlyArray<readonly [NodeView, problem: RegExp | null]> = [
        [viewOf("b", b.url), null],
        [viewOf("c", b.url), /^node b responds there; set cluster\.apiUrl of c$/],
        [viewOf("d", yield* answering(401)), /^it requires another token; set http\.token alike/],
        [viewOf("e", yield* answering(421)), /^it does not know the host name of its address; /],
        [viewOf("f", yield* answering(302, { location: beyond })), /HTTP status 302$/],
        [viewOf("g", `http://127.0.0.1:${yield* freePort}`), /connection refused/],
        [viewOf("h", yield* server(() => {})), /^no response within 3 s$/],
        [viewOf("i", yield* answering(200, {}, "<html>")), /^the connection was closed$/],
        [viewOf("j"), /^it names no address of its HTTP API; /],
        [viewOf("k", b.url, "another-machine"), /of its machine only; set http\.host/],
        [
          viewOf("l", yield* answering(200, {}, event("beat", { node: "l" }))),
          /^it runs another version of restream/
        ]
      ]
      const { client } = yield* nodeApi("a", 1, [viewOf("a"), ...others.map(([node]) => node)])
      const overview = client.status.overview({ query: {} })
      yield* untilEffect(
        "the problem of each node",
        Effect.map(overview, ({ nodes = [] }) =>
          others.every(([{ name }, expected]) => {
            const { problem } = nodes.find((node) => node.name === name)!
            return expected === null ? problem === null : expected.test(problem ?? "")
          })
        )
      )
      const { causes, nodes = [] } = yield* overview
      assert.deepStrictEqual(
        nodes.map(({ name, state }) => `${name} ${state}`),
        [..."ab"]
          .map((name) => `${name} ok`)
          .concat(
            [..."cdefghi"].map((name) => `${name} unreachable`),
            [..."jk"].map((name) => `${name} unknown`),
            "l unreachable"
          )
      )
      assert.strictEqual(followed, 0)
      assert.strictEqual(causes.filter(({ kind }) => kind === "node").length, 8)
      assert.match(
        causes[0]?.message ?? "",
        /^node . does not respond at http|^the cameras of node . cannot be read at http/
      )

      const list = yield* Effect.repeat(client.cameras.list({ query: {} }), {
        until: ({ cameras }) => cameras.length === 2
      })
      assert.sameMembers(
        list.cameras.map(({ id, node }) => `${id} ${node}`),
        ["1 a", "2 b"]
      )
      assert.strictEqual(
        (yield* client.cameras.get({ params: { id: list.cameras[1]!.id } })).node,
        "b"
      )
      const { message } = yield* Effect.flip(client.cameras.retry({ params: { id: "9" as never } }))
      assert.strictEqual(
        message,
        'no camera has the id "9" on the nodes that respond; not known: c, d, e, f, g, h, i, j, k, l'
      )
    })
  )

  it.live("have a camera that moves, whichever of them says so first", () =>
    Effect.gen(function* () {
      const { cameras, overview } = yield* reportOf(7)
      const staying = { ...cameras[0]!, id: "8" as CameraId, path: "cam8" }
      const said = new Map<string, (text: string) => void>()
      const asked: Array<string | undefined> = []
      const scripted = Effect.fnUntraced(function* (name: string, isFirst: boolean) {
        const url = yield* server(({ url }, response) => {
          // of what is handed on to it, it answers nothing
          if (url?.startsWith("/api/events") !== true) return void asked.push(url)
          said.set(name, (text) => response.write(text))
          response.writeHead(200, { "content-type": "text/event-stream" })
          const changes = {
            cameras: isFirst ? [...cameras, staying, { id: "of a later version" }] : [],
            removed: []
          }
          const beat = event("beat", { ...overview, node: name })
          response.write(event("snapshot", changes) + beat)
          // without beats it would count as silent on a busy machine
          const beats = setInterval(() => response.write(beat), 1000)
          response.on("close", () => clearInterval(beats))
        })
        return viewOf(name, url)
      })
      const nodes = [viewOf("a"), yield* scripted("b", true), yield* scripted("c", false)]
      const { client } = yield* nodeApi("a", 1, nodes)
      const isAt = (node: string | undefined) =>
        untilEffect(
          "camera 7 at its node",
          Effect.map(
            client.cameras.list({ query: {} }),
            ({ cameras }) =>
              cameras.find(({ id }) => id === "7")?.node === node &&
              cameras.length === (node === undefined ? 2 : 3)
          )
        )
      const tell = (name: string, changes: unknown) =>
        Effect.sync(() => said.get(name)!(event("cameras", changes)))
      const gain = { cameras, removed: [] }
      const loss = { cameras: [], removed: ["7"] }
      const problemOf = (id: string) =>
        Effect.map(
          Effect.flip(client.cameras.get({ params: { id: id as CameraId } })),
          ({ message }) => message
        )
      yield* isAt("b")
      const ofStaying = yield* Effect.forkChild(problemOf("8"))
      const ofMoving = yield* Effect.forkChild(problemOf("7"))
      yield* until("both requests at node b", () => asked.length === 2)
      yield* tell("c", gain)
      yield* isAt("c")
      assert.strictEqual(
        yield* Fiber.join(ofMoving),
        "camera 7 was moved from node b to node c before b responded; repeat the request"
      )
      // what the earlier node says of it does not count any more
      yield* tell("b", gain)
      yield* tell("b", loss)
      yield* tell("c", loss)
      yield* isAt(undefined)
      yield* tell("b", gain)
      yield* isAt("b")
      yield* tell("b", loss)
      yield* isAt(undefined)
      yield* tell("c", gain)
      yield* isAt("c")
      assert.strictEqual(
        yield* Fiber.join(ofStaying),
        "camera 8 is relayed by node b, which does not respond: no response within 5 s"
      )
    })
  )

  it.live("get each request about their cameras once, marked as handed on", () =>
    Effect.gen(function* () {
      const { cameras, overview } = yield* reportOf(7)
      const asked: Array<string> = []
      const b = yield* server((request, response) => {
        if (request.url?.startsWith("/api/events") === true) {
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write(event("snapshot", { cameras, removed: [] }))
          response.write(event("beat", { ...overview, node: "b" }))
          return
        }
        asked.push(`${request.method} ${request.url}`)
        response
          .writeHead(409, { "content-type": "application/json", "set-cookie": "a=b", "x-b": "c" })
          .end('{"said":"by b"}')
      })
      const a = yield* nodeApi("a", 1, [viewOf("a"), viewOf("b", b)])
      const send = (path: string, method = "GET") =>
        Effect.promise(async () => {
          const response = await fetch(`${a.url}${path}`, { method })
          return { status: response.status, headers: response.headers, body: await response.text() }
        })
      const picture = yield* send("/api/cameras/7/picture?maxAge=3")
      assert.deepStrictEqual([picture.status, picture.body], [409, '{"said":"by b"}'])
      assert.isNull(picture.headers.get("set-cookie"))
      assert.isNull(picture.headers.get("x-b"))
      yield* send("/api/cameras/7/retry?scope=cluster", "POST")
      assert.deepStrictEqual(asked, [
        "GET /api/cameras/7/picture?maxAge=3&scope=node",
        "POST /api/cameras/7/retry?scope=cluster&scope=node"
      ])
      // as b would hand them on, if it did
      for (const query of ["?scope=node", "?scope=cluster&scope=node"]) {
        assert.strictEqual((yield* send(`/api/cameras/7/retry${query}`, "POST")).status, 404)
      }
      assert.strictEqual(asked.length, 2)
    })
  )
})
