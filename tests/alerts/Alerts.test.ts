/** The alerts of a whole tree of fake cameras, received by real HTTP servers. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import type { Settings } from "@restream/config"
import { everyCamera, LiveSettings, Ownership, Reason } from "@restream/core"
import { Alerts } from "@restream/core/alerts"
import { Duration, Effect, Layer, Redacted, Scope, Exit, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import * as Log from "../kit/Log.ts"
import { type FakeServer, layer as treeLayer, row, setRows, settings, tagOf } from "../kit/Tree.ts"
import * as Receiver from "./Receiver.ts"

const refused = new Reason.Refused({ authority: "10.0.0.1:554" })

/** Lets real sockets and virtual time go on until something has happened. */
const advanceUntil = (what: string, condition: Effect.Effect<boolean, never, any>) =>
  Effect.gen(function* () {
    for (let i = 0; i < 2000; i++) {
      if (yield* condition) return
      yield* TestClock.withLive(Effect.sleep("1 millis"))
      yield* TestClock.adjust("2 seconds")
    }
    return yield* Effect.die(new Error(`waited in vain: ${what}`))
  })

const events = ({ received }: Receiver.Receiver) =>
  received.map(({ body }) => {
    const { count, event, title } = JSON.parse(body)
    return `${event} ${count} ${title}`
  })

interface Given {
  readonly rows?: ReadonlyArray<ReturnType<typeof row>>
  readonly alerts?: Partial<Settings["alerts"]>
  readonly isStandby?: () => boolean
  readonly server?: FakeServer
}

/** A tree whose cameras answer by `down`, with one webhook. */
const fixture = Effect.fnUntraced(function* ({
  alerts = {},
  isStandby,
  rows = [row(1)],
  server
}: Given = {}) {
  const receiver = yield* Receiver.make()
  const fake = FakeEngine.make()
  const { answer } = fake
  const down = new Map<string, Reason.ProbeReason>()
  fake.answer = (camera) => {
    const reason = down.get(camera.id)
    return reason === undefined ? answer(camera) : Effect.fail(reason)
  }
  const live = yield* SubscriptionRef.make<Settings>({
    ...settings,
    alerts: {
      ...settings.alerts,
      webhooks: [Receiver.webhook("own", receiver.url)],
      ...alerts
    }
  })
  const log = Log.make()
  const services = yield* Layer.build(
    Layer.mergeAll(
      treeLayer([fake], rows, server),
      LiveSettings.layer(live),
      NodeHttpClient.layerNodeHttp
    )
  ).pipe(log.capture)
  const watching = yield* Scope.fork(yield* Effect.scope)
  yield* Alerts.start.pipe(
    Effect.provideContext(services),
    Effect.provideService(Scope.Scope, watching),
    Effect.provideService(Ownership, {
      ...everyCamera,
      activeDaemon: Effect.sync(() => (isStandby?.() === true ? "other" : undefined))
    }),
    log.capture
  )
  const inTree = <A>(effect: Effect.Effect<A, never, any>) =>
    Effect.provideContext(effect, services) as Effect.Effect<A>
  const awaitTag = (id: number, tag: string) =>
    advanceUntil(
      `camera ${id} ${tag}`,
      Effect.map(inTree(tagOf(id)), (found) => found === tag)
    )
  return {
    receiver,
    fake,
    down,
    live,
    log,
    inTree,
    awaitTag,
    closeAlerts: Scope.close(watching, Exit.void),
    /** Ends a relay that runs, and keeps the camera from coming back. */
    fail: (id: number, reason: Reason.ProbeReason) =>
      Effect.suspend(() => {
        down.set(String(id), reason)
        const relay = fake.relays.findLast(
          ({ camera, endedAt }) => camera.id === String(id) && endedAt === undefined
        )
        return relay?.end(reason) ?? Effect.void
      }),
    awaitEvents: (count: number) =>
      advanceUntil(
        `${count} events`,
        Effect.sync(() => receiver.received.length >= count)
      )
  }
})

describe("Alerts", () => {
  it.effect("notifies when a camera is down, and when it is live again", () =>
    Effect.gen(function* () {
      const { awaitEvents, awaitTag, down, fail, receiver } = yield* fixture({
        rows: [row(1), row(2)]
      })
      yield* awaitTag(1, "Live")
      yield* TestClock.adjust("10 minutes")
      yield* fail(1, refused)
      yield* awaitEvents(1)
      down.clear()
      yield* awaitEvents(2)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(events(receiver), [
        'opened 1 camera 1 "Camera 1": connection refused by 10.0.0.1:554',
        'resolved 1 camera 1 "Camera 1": connection refused by 10.0.0.1:554'
      ])
    })
  )

  it.effect("notifies of an invalid row, until the row is corrected or removed", () =>
    Effect.gen(function* () {
      const { awaitEvents, inTree, receiver } = yield* fixture({
        rows: [row(1), row(2, { url: null }), row(3, { url: "rtsp://10.0.0.3:99999/x" })]
      })
      yield* awaitEvents(1)
      yield* inTree(setRows([row(1), row(2)]))
      yield* awaitEvents(2)
      assert.match(events(receiver)[0]!, /^opened 2 2 cameras: invalid row: /)
      assert.match(events(receiver)[1]!, /^resolved 2 /)
    })
  )

  it.effect("sends nothing about a camera that its row mutes, without a restart of the relay", () =>
    Effect.gen(function* () {
      const muted = { options: '{"alerts": false}' }
      const { awaitEvents, awaitTag, down, fail, fake, inTree, receiver } = yield* fixture({
        rows: [row(1, muted), row(2), row(3)]
      })
      yield* awaitTag(3, "Live")
      const relays = fake.relays.length
      yield* inTree(setRows([row(1, muted), row(2, muted), row(3)]))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(fake.relays.length, relays)
      down.set("1", refused)
      yield* fail(1, refused)
      yield* fail(2, refused)
      yield* TestClock.adjust("10 minutes")
      yield* fail(3, refused)
      yield* awaitEvents(1)
      assert.match(events(receiver)[0]!, /^opened 1 camera 3/)
      yield* inTree(setRows([row(1, muted), row(2), row(3)]))
      yield* awaitEvents(2)
      assert.match(events(receiver)[1]!, /^opened 1 camera 2/)
    })
  )

  it.effect("notifies of the media server once, and of no camera that waits for it", () =>
    Effect.gen(function* () {
      const server = { isThere: true }
      const { awaitEvents, awaitTag, fake, receiver } = yield* fixture({
        rows: [row(1), row(2), row(3)],
        server
      })
      for (const id of [1, 2, 3]) yield* awaitTag(id, "Live")
      server.isThere = false
      for (const relay of fake.relays) {
        yield* relay.end(new Reason.ServerGone({ detail: "connection reset" }))
      }
      yield* awaitEvents(1)
      yield* TestClock.adjust("10 minutes")
      server.isThere = true
      yield* awaitEvents(2)
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(events(receiver), [
        "opened 3 media server is unreachable: connection refused",
        "resolved 3 media server is unreachable: connection refused"
      ])
    })
  )

  it.effect("sends nothing when it ends, also while a webhook hangs", () =>
    Effect.gen(function* () {
      const { awaitEvents, awaitTag, closeAlerts, fail, receiver } = yield* fixture()
      receiver.answer = () => undefined
      yield* awaitTag(1, "Live")
      yield* fail(1, refused)
      yield* awaitEvents(1)
      yield* closeAlerts
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(receiver.received, 1)
    })
  )

  it.effect("is silent in a standby, and starts when it takes over", () =>
    Effect.gen(function* () {
      let isStandby = true
      const { awaitEvents, awaitTag, fail, receiver } = yield* fixture({
        isStandby: () => isStandby
      })
      yield* awaitTag(1, "Live")
      yield* fail(1, refused)
      yield* TestClock.adjust("10 minutes")
      assert.lengthOf(receiver.received, 0)
      isStandby = false
      yield* awaitEvents(1)
      assert.match(events(receiver)[0]!, /^opened 1 /)
    })
  )

  it.effect("follows the settings", () =>
    Effect.gen(function* () {
      const { awaitEvents, awaitTag, fail, live, receiver } = yield* fixture({
        alerts: { after: Duration.days(1), webhooks: [] }
      })
      yield* awaitTag(1, "Live")
      yield* fail(1, refused)
      yield* TestClock.adjust("10 minutes")
      yield* SubscriptionRef.update(live, (current) => ({
        ...current,
        alerts: {
          after: Duration.minutes(5),
          quietHours: undefined,
          webhooks: [Receiver.webhook("own", receiver.url)]
        }
      }))
      yield* awaitEvents(1)
      assert.lengthOf(receiver.received, 1)
    })
  )

  it.effect("sends nothing in quiet hours, by local time", () =>
    Effect.gen(function* () {
      // the virtual clock begins at 1970
      const minute = new Date(0).getHours() * 60 + new Date(0).getMinutes()
      const clockText = (at: number) =>
        [Math.floor(at / 60) % 24, at % 60].map((part) => String(part).padStart(2, "0")).join(":")
      const { awaitEvents, awaitTag, fail, receiver } = yield* fixture({
        alerts: { quietHours: `${clockText(minute)}-${clockText(minute + 30)}` }
      })
      yield* awaitTag(1, "Live")
      yield* fail(1, refused)
      yield* TestClock.adjust("20 minutes")
      assert.lengthOf(receiver.received, 0)
      yield* awaitEvents(1)
      assert.isAtLeast(receiver.received[0]!.at, 30 * 60_000)
    })
  )

  it.effect("sends an open alert to Alertmanager every minute", () =>
    Effect.gen(function* () {
      const { awaitEvents, awaitTag, fail, live, receiver } = yield* fixture()
      yield* SubscriptionRef.update(live, (current) => ({
        ...current,
        alerts: {
          ...current.alerts,
          webhooks: [Receiver.webhook("am", receiver.url, { format: "alertmanager" })]
        }
      }))
      yield* awaitTag(1, "Live")
      yield* fail(1, refused)
      yield* awaitEvents(4)
      const labels = receiver.received.map(({ body }) => JSON.stringify(JSON.parse(body)[0].labels))
      assert.strictEqual(new Set(labels).size, 1)
      const ends = receiver.received.map(({ body }) => Date.parse(JSON.parse(body)[0].endsAt))
      for (const [index, end] of ends.entries()) {
        // it never expires in between
        assert.isAbove(end, receiver.received[index + 1]?.at ?? 0)
      }
    })
  )

  it.effect("shows no planted secret, in no format and in no log line", () =>
    Effect.gen(function* () {
      const rows = [
        row(1, { url: "rtsp://admin:Planted1UserInfo@10.0.0.1/live?password=Planted2Query" }),
        row(2, { url: "rtsp://10.0.0.2/user=admin_password=Planted3Path_channel=1.sdp" }),
        row(3, { url: "rtsp://admin:Planted4InvalidRow@10.0.0.4:99999/live" }),
        row(4, { name: "rtsp://admin:Planted5Name@10.0.0.4/" })
      ]
      const { awaitTag, down, fail, live, log, receiver } = yield* fixture({ rows })
      const { url } = receiver
      const echo = ({ headers, path }: Receiver.Received) => ({
        status: path.startsWith("/ok") ? 200 : 403,
        body: JSON.stringify([path, headers])
      })
      receiver.answer = echo
      const secret = "Planted6Secret"
      const paths: ReadonlyArray<
        readonly [Settings["alerts"]["webhooks"][number]["format"], string]
      > = [
        ["json", "/ok/Planted7Hook"],
        ["slack", "/ok/services/Planted8Hook"],
        ["mattermost", "/hooks/Planted9Hook"],
        ["telegram", "/botPlanted10Token/sendMessage?chat_id=1"],
        ["ntfy", "/Planted11Topic"],
        ["alertmanager", "/am/Planted12Base"]
      ]
      yield* SubscriptionRef.update(live, (current) => ({
        ...current,
        alerts: {
          ...current.alerts,
          webhooks: paths.map(([format, path]) => ({
            ...Receiver.webhook(format, `${url}${path}`, { format }),
            secret: Redacted.make(secret)
          }))
        }
      }))
      const detail = "rtsp://admin:Planted13Reason@10.0.0.1/x said password=Planted14Reason"
      yield* awaitTag(1, "Live")
      down.set("2", new Reason.Rejected({ status: 500, detail }))
      yield* fail(1, new Reason.ProtocolError({ detail }))
      yield* fail(2, new Reason.Rejected({ status: 500, detail }))
      yield* fail(4, refused)
      const seen = (path: string) =>
        receiver.received.filter((request) => request.path.startsWith(path)).length
      yield* advanceUntil(
        "all formats",
        Effect.sync(
          () =>
            seen("/ok/Planted7") >= 3 &&
            ["/ok/services/", "/hooks/", "/bot", "/am/"].every((path) => seen(path) > 0) &&
            receiver.received.some(({ path }) => path === "/")
        )
      )
      const bodies = receiver.received.map(({ body }) => body).join("\n")
      // the topic belongs into the body of ntfy
      assert.notMatch(bodies.replaceAll('"topic":"Planted11Topic"', ""), /Planted/)
      assert.include(bodies, "rtsp://***@10.0.0.1/x")
      assert.match(bodies, /invalid row: the address has no valid host/)
      const lines = log.lines().join("\n")
      assert.match(lines, /webhook "telegram" .* does not take alerts: HTTP 403/)
      const hookLines = log.matching(/webhook/).join("\n")
      assert.notMatch(hookLines, /Planted/)
    })
  )
})
