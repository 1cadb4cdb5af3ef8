import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { BaseUrl } from "@restream/core/rtsp"
import { holds } from "./Fuzz.ts"

const asked = "rtsp://10.0.0.5:8554/cam/realmonitor?channel=1&subtype=0"

const base = (input: Omit<BaseUrl.BaseUrlInput, "requestUrl">): string =>
  BaseUrl.baseUrl({ requestUrl: asked, ...input })

describe("baseUrl", () => {
  it("is the requested URL without headers and control", () => {
    assert.strictEqual(base({}), asked)
    assert.strictEqual(base({ sessionControl: "*", contentBase: "" }), asked)
    assert.strictEqual(base({ contentBase: "*" }), asked)
  })

  const contentBases: ReadonlyArray<readonly [what: string, written: string, expected: string]> = [
    ["whole", "rtsp://10.0.0.5:8554/live/", "rtsp://10.0.0.5:8554/live/"],
    ["with another host", "rtsp://192.168.1.2/live/", "rtsp://10.0.0.5:8554/live/"],
    ["with credentials", "rtsp://admin:x@192.168.1.2/live/", "rtsp://10.0.0.5:8554/live/"],
    ["path alone", "/live/", "rtsp://10.0.0.5:8554/live/"],
    ["relative path alone", "live/", "rtsp://10.0.0.5:8554/live/"],
    ["query alone", "?a=1", "rtsp://10.0.0.5:8554?a=1"],
    ["without scheme", "192.168.1.2:554/live/", "rtsp://10.0.0.5:8554/live/"],
    ["without scheme or port", "192.168.1.2/live/", "rtsp://10.0.0.5:8554/live/"],
    ["host alone", "192.168.1.2:1935", "rtsp://10.0.0.5:8554"],
    ["doubled scheme", "rtsp://rtsp://cam.lan:554/live/", "rtsp://10.0.0.5:8554/live/"],
    ["IPv6 without brackets", "rtsp://::ffff:192.168.1.1/live/", "rtsp://10.0.0.5:8554/live/"],
    ["IPv6 with brackets, no scheme", "[fe80::1]:554/live/", "rtsp://10.0.0.5:8554/live/"],
    ["other scheme", "rtsps://10.0.0.5/live/", "rtsp://10.0.0.5:8554/live/"],
    ["in quotation marks", '"rtsp://10.0.0.5/live/"', "rtsp://10.0.0.5:8554/live/"]
  ]
  for (const [what, written, expected] of contentBases) {
    it(`parses a Content-Base ${what}`, () => {
      assert.strictEqual(base({ contentBase: written }), expected)
      assert.strictEqual(base({ contentLocation: written }), expected)
    })
  }

  it("prefers the session's control to Content-Base to Content-Location", () => {
    assert.strictEqual(
      base({
        sessionControl: "rtsp://192.168.1.2/a",
        contentBase: "/b",
        contentLocation: "/c"
      }),
      "rtsp://10.0.0.5:8554/a"
    )
    assert.strictEqual(
      base({ sessionControl: "*", contentBase: "/b", contentLocation: "/c" }),
      "rtsp://10.0.0.5:8554/b"
    )
    assert.strictEqual(
      base({ sessionControl: "sub", contentBase: "/b/" }),
      "rtsp://10.0.0.5:8554/b/sub"
    )
  })
})

describe("controlUrl", () => {
  it("appends a relative control after one slash", () => {
    for (const [root, control] of [
      ["rtsp://h/live", "trackID=1"],
      ["rtsp://h/live/", "trackID=1"],
      ["rtsp://h/live", "/trackID=1"],
      ["rtsp://h/live/", "/trackID=1"],
      ["rtsp://h/live", " trackID=1 "]
    ] as const) {
      assert.strictEqual(BaseUrl.controlUrl(root, control), "rtsp://h/live/trackID=1")
    }
    assert.strictEqual(
      BaseUrl.controlUrl("rtsp://h/live", "?ctype=video"),
      "rtsp://h/live?ctype=video"
    )
  })

  it("appends a control after the query string", () => {
    assert.strictEqual(BaseUrl.controlUrl(asked, "trackID=0"), `${asked}/trackID=0`)
  })

  it("uses an absolute control, with the host of the connection", () => {
    assert.strictEqual(
      BaseUrl.controlUrl("rtsp://10.0.0.5:8554/live", "rtsp://192.168.1.2:554/live/track1?a=b"),
      "rtsp://10.0.0.5:8554/live/track1?a=b"
    )
    assert.strictEqual(
      BaseUrl.controlUrl("rtsps://10.0.0.5:322/live", "rtsp://192.168.1.2/live/track1"),
      "rtsps://10.0.0.5:322/live/track1"
    )
  })

  it("treats a control that repeats the path as absolute", () => {
    assert.strictEqual(
      BaseUrl.controlUrl("rtsp://h/live/main?x=1", "/live/main/track1"),
      "rtsp://h/live/main/track1"
    )
    assert.strictEqual(BaseUrl.controlUrl("rtsp://h/live", "/livetrack"), "rtsp://h/live/livetrack")
  })

  it("is the base URL if the control is missing or *", () => {
    for (const control of [undefined, "", " ", "*"]) {
      assert.strictEqual(BaseUrl.controlUrl("rtsp://h/live", control), "rtsp://h/live")
    }
  })

  it("never leads to another host, for any control", () => {
    const written = fc.oneof(
      fc.string({ maxLength: 30 }),
      fc.webUrl(),
      fc
        .tuple(
          fc.constantFrom("rtsp://", "rtsp://rtsp://", "RTSPS://", "/", "", "?"),
          fc.string({ maxLength: 20 })
        )
        .map((parts) => parts.join(""))
    )
    const optional = fc.option(written, { nil: undefined })
    holds(
      fc.property(optional, optional, optional, (contentBase, sessionControl, control) => {
        const url = BaseUrl.controlUrl(base({ contentBase, sessionControl }), control)
        assert.match(url, /^rtsp:\/\/10\.0\.0\.5:8554(?:[/?]|$)/)
      })
    )
  })

  it("drops slashes at the beginning of a control only", () => {
    assert.strictEqual(BaseUrl.controlUrl("rtsp://h/live/", "track/1"), "rtsp://h/live/track/1")
    assert.strictEqual(BaseUrl.controlUrl("rtsp://h/live/", "//track/1"), "rtsp://h/live/track/1")
  })
})
