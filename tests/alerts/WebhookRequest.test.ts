import { assert, describe, it } from "@effect/vitest"
import type { CameraId } from "@restream/core"
import { type Alert, requestOf, testAlert } from "@restream/core/alerts"
import { createHmac } from "node:crypto"
import { webhook } from "./Receiver.ts"

const since = Date.UTC(2026, 10, 27, 12, 0, 0)
const now = since + 62_000

const opened: Alert = {
  event: "opened",
  id: "boot-1",
  key: "unreachable 10.0.0.9:554",
  kind: "Refused",
  severity: "critical",
  title: "2 cameras at 10.0.0.9:554: connection refused by 10.0.0.9:554",
  advice: "Check the port in the row, and that RTSP is switched on in the camera.",
  node: undefined,
  host: "10.0.0.9:554",
  since,
  openedAt: now,
  resolvedAt: undefined,
  count: 2,
  cameras: [
    { id: "1" as CameraId, name: "Gate", path: "cam1", since, reason: "connection refused" },
    { id: "2" as CameraId, name: "<!channel> & @all", path: undefined, since, reason: "x" }
  ]
}
const resolved: Alert = { ...opened, event: "resolved", resolvedAt: since + 720_000 }

const send = (hook: Parameters<typeof requestOf>[0], alert: Alert = opened, at = now) => {
  const { body, ...rest } = requestOf(hook, { alerts: [alert], id: "message-1" }, at)
  return { ...rest, document: JSON.parse(body) as Record<string, unknown>, body }
}

describe("requestOf", () => {
  it("sends the alert as JSON, signed by Standard Webhooks", () => {
    const url = "https://alerts.example/restream?key=1"
    const plain = send(webhook("own", url))
    assert.strictEqual(plain.url, url)
    assert.deepStrictEqual(plain.headers, { "content-type": "application/json" })
    assert.deepStrictEqual(plain.document, {
      version: 1,
      ...opened,
      node: null,
      resolvedAt: null,
      cameras: [opened.cameras[0], { ...opened.cameras[1], path: null }]
    })
    const keys = [
      ["a long random text", Buffer.from("a long random text")],
      [
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64")
      ]
    ] as const
    for (const [secret, key] of keys) {
      const { body, headers } = send(webhook("own", url, { secret }))
      const signed = createHmac("sha256", key)
        .update(`message-1.${Math.floor(now / 1000)}.${body}`)
        .digest("base64")
      assert.deepStrictEqual(headers, {
        "content-type": "application/json",
        "webhook-id": "message-1",
        "webhook-timestamp": String(Math.floor(now / 1000)),
        "webhook-signature": `v1,${signed}`
      })
    }
  })

  it("signs as the example of Standard Webhooks", () => {
    // the test vector of the reference libraries
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    const sign = createHmac("sha256", Buffer.from(secret.slice(6), "base64"))
      .update('msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}')
      .digest("base64")
    assert.strictEqual(sign, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
  })

  it("sends a user name and a password of the URL as a header", () => {
    const { headers, url } = send(webhook("own", "https://me:p%40ss@alerts.example/x"))
    assert.strictEqual(url, "https://alerts.example/x")
    assert.strictEqual(headers["authorization"], `Basic ${btoa("me:p@ss")}`)
  })

  it("sends text to Slack and Mattermost that calls nobody", () => {
    const slack = send(webhook("ops", "https://hooks.slack.com/x", { format: "slack" }))
    assert.deepStrictEqual(slack.document, {
      text: [
        "🔴 2 cameras at 10.0.0.9:554: connection refused by 10.0.0.9:554",
        'Cameras: 1 "Gate", 2 "&lt;!channel&gt; &amp; @all"',
        "Since 1 min 2 s. Check the port in the row, and that RTSP is switched on in the camera."
      ].join("\n")
    })
    const over = send(webhook("ops", "https://hooks.slack.com/x", { format: "slack" }), resolved)
    assert.match(
      String(over.document["text"]),
      /^🟢 Resolved after 12 min: 2 cameras at 10\.0\.0\.9:554: .*\nCameras: 1 "Gate", 2 /
    )
    const mattermost = send(webhook("ops", "https://mm.example/x", { format: "mattermost" }))
    assert.include(String(mattermost.document["text"]), "<!channel> & @\u200ball")
  })

  it("sends a message of a bot to Telegram", () => {
    const url = "https://api.telegram.org/bot12:token/sendMessage?chat_id=-100&message_thread_id=7"
    const { document, url: target } = send(webhook("phone", url, { format: "telegram" }))
    assert.strictEqual(target, "https://api.telegram.org/bot12:token/sendMessage")
    assert.deepInclude(document, { chat_id: "-100", message_thread_id: "7" })
    assert.deepInclude(document, { link_preview_options: { is_disabled: true } })
    assert.match(String(document["text"]), /^🔴 2 cameras/)
    const long = { ...opened, title: "x".repeat(10_000) }
    const text = String(send(webhook("phone", url, { format: "telegram" }), long).document["text"])
    assert.isAtMost(text.length, 4096)
  })

  it("publishes to a topic of ntfy", () => {
    const hook = webhook("phone", "https://ntfy.example/base/cameras", {
      format: "ntfy",
      secret: "tk_1"
    })
    const { document, headers, url } = send(hook)
    assert.strictEqual(url, "https://ntfy.example/base/")
    assert.strictEqual(headers["authorization"], "Bearer tk_1")
    assert.deepStrictEqual(document, {
      topic: "cameras",
      title: "2 cameras at 10.0.0.9:554: connection refused by 10.0.0.9:554",
      message: [
        'Cameras: 1 "Gate", 2 "<!channel> & @all"',
        "Since 1 min 2 s. Check the port in the row, and that RTSP is switched on in the camera."
      ].join("\n"),
      priority: 5,
      tags: ["rotating_light"]
    })
    const over = send(hook, resolved).document
    assert.deepInclude(over, { priority: 3, tags: ["white_check_mark"] })
  })

  it("posts alerts to an Alertmanager under labels that do not change", () => {
    const hook = webhook("am", "http://10.0.0.1:9093/prefix/", { format: "alertmanager" })
    const { body, document, url } = send(hook)
    assert.strictEqual(url, "http://10.0.0.1:9093/prefix/api/v2/alerts")
    const [open] = document as unknown as ReadonlyArray<{
      readonly labels: Record<string, string>
      readonly annotations: Record<string, string>
    }>
    assert.deepStrictEqual(open, {
      labels: {
        alertname: "RestreamCamerasDown",
        service: "restream",
        severity: "critical",
        problem: "unreachable 10.0.0.9:554"
      },
      annotations: {
        summary: opened.title,
        description: opened.advice,
        reason: "Refused",
        count: "2",
        cameras: '1 "Gate", 2 "<!channel> & @all"',
        host: "10.0.0.9:554"
      },
      startsAt: "2026-11-27T12:00:00.000Z",
      endsAt: "2026-11-27T12:11:02.000Z"
    } as never)
    const [over] = JSON.parse(
      requestOf(hook, { alerts: [{ ...resolved, count: 1, kind: "TimedOut" }], id: "2" }, now).body
    )
    assert.deepStrictEqual(over.labels, open?.labels)
    // cameras that restart again and again, of which most go down later
    const flapping: Alert = {
      ...opened,
      key: "flapping",
      kind: "flapping",
      severity: "warning"
    }
    const [before, after] = [
      flapping,
      { ...flapping, kind: "Refused", severity: "critical" as const }
    ].map((alert) => JSON.parse(requestOf(hook, { alerts: [alert], id: "3" }, now).body)[0].labels)
    assert.deepStrictEqual(before, {
      alertname: "RestreamCamerasFlapping",
      service: "restream",
      severity: "warning",
      problem: "flapping"
    })
    assert.deepStrictEqual(after, before)
    assert.strictEqual(over.endsAt, "2026-11-27T12:12:00.000Z")
    assert.notInclude(body, "null")
  })

  it("names the node of a cluster in every format", () => {
    const alert = { ...opened, node: "b2" }
    const title = "2 cameras at 10.0.0.9:554: connection refused by 10.0.0.9:554 (node b2)"
    const sent = (hook: Parameters<typeof requestOf>[0], of: Alert = alert) =>
      send(hook, of).document
    assert.strictEqual(sent(webhook("own", "https://a.example/"))["node"], "b2")
    const slack = webhook("ops", "https://a.example/", { format: "slack" })
    assert.include(sent(slack)["text"], `🔴 ${title}\n`)
    assert.include(
      sent(slack, { ...alert, event: "resolved", resolvedAt: since + 720_000 })["text"],
      `🟢 Resolved after 12 min: ${title}\n`
    )
    const ntfy = webhook("phone", "https://a.example/topic", { format: "ntfy" })
    assert.strictEqual(sent(ntfy)["title"], title)
    // two nodes that report one problem are two alerts: one resolves its own only
    const am = webhook("am", "https://a.example/", { format: "alertmanager" })
    const labels = [alert, { ...opened, node: "c3" }].map(
      (of) => (sent(am, of) as unknown as ReadonlyArray<{ readonly labels: unknown }>)[0]?.labels
    )
    const common = {
      alertname: "RestreamCamerasDown",
      service: "restream",
      severity: "critical",
      problem: "unreachable 10.0.0.9:554"
    }
    assert.deepStrictEqual(labels, [
      { ...common, node: "b2" },
      { ...common, node: "c3" }
    ])
  })

  it("has a test alert in every format", () => {
    const alert = testAlert("test-1", now)
    const urls = {
      json: "https://a.example/",
      slack: "https://a.example/",
      mattermost: "https://a.example/",
      telegram: "https://a.example/bot1/sendMessage?chat_id=1",
      ntfy: "https://a.example/topic",
      alertmanager: "https://a.example/"
    } as const
    for (const [format, url] of Object.entries(urls)) {
      const { body } = send(webhook("w", url, { format: format as keyof typeof urls }), alert)
      assert.include(body, "Test alert from restream")
    }
  })
})
