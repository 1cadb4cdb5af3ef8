import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import { playerUrls, viewerUrls } from "@restream/core"

const server = { ...defaultSettings.mediaServer, host: "10.0.0.9" }

describe("playerUrls", () => {
  it("derives the addresses from the host to which restream publishes", () => {
    assert.deepStrictEqual(playerUrls({ path: "cam7" }, server), {
      webrtc: "http://10.0.0.9:8889/cam7",
      hls: "http://10.0.0.9:8888/cam7",
      rtsp: "rtsp://10.0.0.9:8554/cam7"
    })
  })

  it("uses the port and the scheme of publishing for RTSP only", () => {
    assert.deepStrictEqual(viewerUrls({ ...server, scheme: "rtsps", port: 8322 }), {
      webrtc: "http://10.0.0.9:8889",
      hls: "http://10.0.0.9:8888",
      rtsp: "rtsps://10.0.0.9:8322"
    })
  })

  it("appends the path to the URL for viewers, independent of the URL for publishing", () => {
    const urls = playerUrls(
      { path: "site-4/gate" },
      {
        ...server,
        host: "127.0.0.1",
        webrtcUrl: "https://video.example/webrtc",
        hlsUrl: "https://video.example/hls",
        rtspUrl: "rtsp://video.example:8554"
      }
    )
    assert.deepStrictEqual(urls, {
      webrtc: "https://video.example/webrtc/site-4/gate",
      hls: "https://video.example/hls/site-4/gate",
      rtsp: "rtsp://video.example:8554/site-4/gate"
    })
  })

  it("puts an IPv6 host in brackets", () => {
    const { hls, rtsp } = playerUrls({ path: "cam7" }, { ...server, host: "2001:db8::9" })
    assert.strictEqual(hls, "http://[2001:db8::9]:8888/cam7")
    assert.strictEqual(rtsp, "rtsp://[2001:db8::9]:8554/cam7")
    assert.strictEqual(
      viewerUrls({ ...server, host: "fe80::1%eth0" }).rtsp,
      "rtsp://[fe80::1%25eth0]:8554"
    )
  })

  it("encodes each segment of a path and keeps the slashes", () => {
    assert.strictEqual(
      playerUrls({ path: "hall 1/gate #2?" }, server).hls,
      "http://10.0.0.9:8888/hall%201/gate%20%232%3F"
    )
  })

  it("never contains the credentials for publishing", () => {
    const withCredentials = { ...server, username: "publisher-name", password: "publisher-secret" }
    const text = JSON.stringify(playerUrls({ path: "cam7" }, withCredentials as never))
    assert.notInclude(text, "publisher")
  })
})
