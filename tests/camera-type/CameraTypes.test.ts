import { assert, describe, it } from "@effect/vitest"
import { CameraType, CameraTypes, Column, StreamUrl, UrlTemplate } from "@restream/core"
import { Redacted, Result, Schema } from "effect"
import * as fc from "fast-check"

const types = CameraTypes.make()

const reveal = (type: string, columns: CameraType.Columns): string =>
  Result.match(types.toUrl(type, columns), {
    onSuccess: StreamUrl.reveal,
    onFailure: (reason) => `! ${reason.message}`
  })

const vendor = { host: "10.0.0.5", username: "admin", password: "a@b" }

describe("CameraTypes", () => {
  for (const columns of [
    { type: "url", url: "rtsp://a%0D%0AX:%20y:b@10.0.0.5/x" },
    { type: "url", url: "rtsp://a:b%00@10.0.0.5/x" },
    { ...vendor, type: "axis", username: "a\nb" },
    { ...vendor, type: "dahua", password: "a\u007fb" }
  ]) {
    it(`refuses a control character in the credentials of ${columns.type}`, () => {
      assert.strictEqual(
        reveal(columns.type, columns),
        "! the user name or password holds a control character"
      )
    })
  }

  it("refuses an address that is too long, by whichever columns", () => {
    for (const columns of [
      { ...vendor, type: "hikvision", password: "x".repeat(200_000) },
      // three characters for each, as it is revealed
      { ...vendor, type: "axis", stream: "@".repeat(1500) },
      { type: "url", url: `rtsp://h/${" ".repeat(1500)}x` }
    ]) {
      assert.strictEqual(
        reveal(columns.type, columns),
        "! the address is longer than 4096 characters"
      )
    }
  })

  for (const [type, columns, url] of [
    ["url", { url: "rtsp://10.0.0.5/x" }, "rtsp://10.0.0.5/x"],
    [
      "url",
      { url: "rtsp://10.0.0.5:8554/x?a=%20b", username: "admin", password: "a@b" },
      "rtsp://admin:a%40b@10.0.0.5:8554/x?a=%20b"
    ],
    ["url", { url: "rtsp://10.0.0.5/x", username: "admin" }, "rtsp://admin:@10.0.0.5/x"],
    [
      "url",
      { url: "rtsp://u:p@10.0.0.5/x", username: "admin", password: "a@b" },
      "rtsp://u:p@10.0.0.5/x"
    ],
    ["url", { url: "rtsp://u@10.0.0.5/x", password: "a@b" }, "rtsp://u:@10.0.0.5/x"],
    [
      "url",
      { url: "rtsp://10.0.0.5/x", username: "a\nb" },
      "! the user name or password holds a control character"
    ],
    ["hikvision", vendor, "rtsp://admin:a%40b@10.0.0.5/Streaming/Channels/101"],
    [
      "hikvision",
      { ...vendor, channel: 12, stream: "sub", port: "8554" },
      "rtsp://admin:a%40b@10.0.0.5:8554/Streaming/Channels/1202"
    ],
    ["hikvision", { host: "h", stream: 3 }, "rtsp://h/Streaming/Channels/103"],
    [
      "hikvision",
      { host: "h", stream: "0" },
      "! column stream: the value is not main, sub, third or a number from 1 to 99"
    ],
    ["dahua", vendor, "rtsp://admin:a%40b@10.0.0.5/cam/realmonitor?channel=1&subtype=0"],
    [
      "dahua",
      { host: "h", channel: "4", stream: "Sub" },
      "rtsp://h/cam/realmonitor?channel=4&subtype=1"
    ],
    ["axis", vendor, "rtsp://admin:a%40b@10.0.0.5/axis-media/media.amp?camera=1"],
    [
      "axis",
      { host: "h", channel: 2, stream: "Low & slow" },
      "rtsp://h/axis-media/media.amp?camera=2&streamprofile=Low%20%26%20slow"
    ],
    ["AXIS", { host: "2001:db8::1" }, "rtsp://[2001:db8::1]/axis-media/media.amp?camera=1"],
    [
      "dahua",
      { host: "h", username: "admin" },
      "rtsp://admin:@h/cam/realmonitor?channel=1&subtype=0"
    ],
    [
      "dahua",
      { host: "ho st" },
      '! column host: "ho st" is not a host name or an IP address (without scheme and port)'
    ],
    ["dahua", { host: "h", port: 65_536 }, "! column port: 65536 is out of range (1 to 65535)"]
  ] as const) {
    it(`makes the address of ${type} ${JSON.stringify(columns)}`, () => {
      assert.strictEqual(reveal(type, columns), url)
    })
  }

  it("carries every password to the camera as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (password) => {
        fc.pre(!/%[0-9a-f]{2}/i.test(password))
        const result = types.toUrl("hikvision", { ...vendor, password })
        const url = Result.getOrThrow(result)
        assert.strictEqual(Redacted.value(url.credentials!.password), password)
        const again = Result.getOrThrow(StreamUrl.parse(StreamUrl.reveal(url)))
        assert.strictEqual(Redacted.value(again.credentials!.password), password)
        assert.strictEqual(again.host, "10.0.0.5")
      })
    )
  })

  it("lets a program add types, and replace a built-in type", () => {
    const acme = CameraType.make({
      name: "Acme",
      columns: { host: Column.host, token: Schema.optional(Column.secret) },
      toUrl: ({ host, token }) =>
        `rtsp://${host}/live?token=${token === undefined ? "" : Redacted.value(token)}`
    })
    const url = CameraType.make({ name: "url", columns: {}, toUrl: () => "rtsp://mine/" })
    const more = CameraTypes.make([acme, url])
    const show = Result.map(StreamUrl.reveal)
    assert.deepStrictEqual(
      show(more.toUrl("acme", { host: "h", token: "t" })),
      Result.succeed("rtsp://h/live?token=t")
    )
    assert.deepStrictEqual(show(more.toUrl("url", {})), Result.succeed("rtsp://mine/"))
  })

  it("makes a type that throws a fault of its rows, without the words thrown", () => {
    const faulty = CameraType.make({
      name: "faulty",
      columns: { password: Column.text },
      toUrl: ({ password }) => {
        throw new Error(`can't use ${password}`)
      }
    })
    const result = faulty.toUrl({ password: "TopSecret1" })
    assert.isTrue(Result.isFailure(result))
    assert.notInclude(JSON.stringify(result), "TopSecret1")
  })
})

describe("UrlTemplate", () => {
  const fill = (template: string, columns: CameraType.Columns): string =>
    Result.match(UrlTemplate.cameraType("acme", template).toUrl(columns), {
      onSuccess: StreamUrl.reveal,
      onFailure: (reason) => `! ${reason.message}`
    })

  const acme = "rtsp://{username}:{password}@{host}:{port|554}/live/{channel|1}"

  it("fills in columns and defaults", () => {
    assert.strictEqual(
      fill(acme, { username: "admin", password: "x", host: "10.0.0.5", channel: 3 }),
      "rtsp://admin:x@10.0.0.5:554/live/3"
    )
  })

  it("names every column that is missing", () => {
    assert.strictEqual(
      fill(acme, { host: "10.0.0.5" }),
      "! column username is missing; column password is missing"
    )
  })

  it("encodes values, which are plain text", () => {
    const columns = { username: "admin", host: "10.0.0.5" }
    const url = (password: string) => fill(acme, { ...columns, password })
    assert.strictEqual(url("p@/w"), "rtsp://admin:p%40%2Fw@10.0.0.5:554/live/1")
    // a password that looks percent-encoded is one that looks so
    assert.strictEqual(url("p%40%2Fw"), "rtsp://admin:p%2540%252Fw@10.0.0.5:554/live/1")
  })

  for (const [host, shown] of [
    ["::1", "[::1]"],
    ["[2001:db8::1]", "[2001:db8::1]"],
    ["kamera-größe.de", "kamera-größe.de"],
    [" 10.0.0.5 ", "10.0.0.5"]
  ]) {
    it(`takes ${host} for a host, and for nothing else`, () => {
      const columns = { username: host, password: host, host, channel: host }
      const encoded = encodeURIComponent(host!)
      assert.strictEqual(
        fill(acme, columns),
        `rtsp://${encoded}:${encoded}@${shown}:554/live/${encoded}`
      )
      assert.strictEqual(fill("rtsp://{host}", columns), `rtsp://${shown}/`)
    })
  }

  it("makes a host of text and columns", () => {
    const template = "rtsp://cam-{id}.{site|example}:{p|554}/{id}"
    assert.strictEqual(fill(template, { id: 7 }), "rtsp://cam-7.example:554/7")
    for (const id of ["7@x", "7/", "::1", "a b"]) {
      assert.match(fill(template, { id }), /^! /)
    }
    assert.strictEqual(
      fill(template, { id: "7/" }),
      "! column id: the value is not a host name or an IP address"
    )
  })

  it("carries every password to the camera as it is", () => {
    const colons = fc.string({ unit: fc.constantFrom(..."0123456789abcdef::@/"), minLength: 1 })
    fc.assert(
      fc.property(fc.oneof(colons, fc.string({ unit: "grapheme", minLength: 1 })), (password) => {
        fc.pre(!/%[0-9a-f]{2}/i.test(password))
        const url = Result.getOrThrow(
          UrlTemplate.cameraType("acme", acme).toUrl({ username: "u", password, host: "10.0.0.5" })
        )
        assert.strictEqual(Redacted.value(url.credentials!.password), password)
      })
    )
  })

  it("lets no value break out of its placeholder", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (value) => {
        const url = UrlTemplate.cameraType("acme", acme).toUrl({
          username: "u",
          password: value,
          host: "10.0.0.5"
        })
        assert.strictEqual(Result.getOrThrow(url).host, "10.0.0.5")
      })
    )
  })

  for (const [template, isFine] of [
    [acme, true],
    ["rtsp://{host}/{stream|}", true],
    ["http://{host}:{port}/video", true],
    ["rtsp://{host}:{rtsp_port}/live", true],
    ["rtsp://{user}:{pass}@{addr}:{p}", true],
    ["rtsp://{host}:{p|}?stream={n}", true],
    ["rtsp://{host/live", false],
    ["rtsp://{ho st}/live", false],
    ["{host}/live", false],
    ["rtsp://{host}:{channel|x}/live", false],
    ["", false]
  ] as const) {
    it(`${isFine ? "takes" : "finds fault with"} ${JSON.stringify(template)}`, () => {
      assert.strictEqual(UrlTemplate.fault(template) === undefined, isFine)
    })
  }
})
