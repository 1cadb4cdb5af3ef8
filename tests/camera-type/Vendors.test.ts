import { assert, describe, it } from "@effect/vitest"
import { CameraTypes, cameraTypesMarkdown, StreamUrl } from "@restream/core"
import { Result } from "effect"
import { readFileSync } from "node:fs"

const types = CameraTypes.make()

const reveal = (type: string, columns: Readonly<Record<string, unknown>>): string =>
  Result.match(types.toUrl(type, { host: "h", ...columns }), {
    onSuccess: (url) => StreamUrl.reveal(url).replace("rtsp://h", ""),
    onFailure: (reason) => `! ${reason.message}`
  })

const camera = (stream: string) => ({ stream })
const recorder = (channel: number, stream: string) => ({ channel, stream })

describe("a vendor's camera type", () => {
  /**
   * The paths of CamioCam's list, with its own numbers put in for its placeholders: `rtsp_url` and `port` of
   * cameras/paths.csv in github.com/CamioCam/rtsp, commit 0afd84d (Apache-2.0).
   */
  for (const [type, columns, listed] of [
    ["acti", camera("main"), ":7070/track1"],
    ["acti", camera("third"), ":7070/track3"],
    ["avigilon", camera("main"), "/defaultPrimary?streamType=u"],
    ["dlink", camera("main"), "/live1.sdp"],
    ["dlink", camera("third"), "/live3.sdp"],
    ["foscam", camera("main"), ":88/videoMain"],
    ["geovision", recorder(4, "main"), ":8554/CH004.sdp"],
    ["grandstream", camera("sub"), "/4"],
    ["hanwha", recorder(4, "main"), "/3/profile2/media.smp"],
    ["hikvision", recorder(8, "sub"), "/Streaming/Channels/802"],
    ["lorex", recorder(3, "sub"), "/cam/realmonitor?channel=3&subtype=1"],
    ["mobotix", camera("main"), "/mobotix.h264"],
    ["panasonic", { port: 80 }, ":80/MediaInput/h264"],
    ["reolink", camera("main"), "/h264Preview_01_main"],
    ["reolink", camera("sub"), "/h264Preview_01_sub"],
    ["samsung", camera("main"), "/profile2/media.smp"],
    ["sony", camera("sub"), "/media/video2"],
    ["trendnet", camera("main"), "/Streaming/channels/101"],
    ["trendnet", camera("sub"), "/Streaming/channels/102"],
    ["tvt", recorder(8, "main"), "/?chID=8&streamType=main&linkType=tcp"],
    ["ubiquiti", camera("main"), "/s0"],
    ["uniview", recorder(16, "main"), "/unicast/c16/s0/live"],
    ["uniview", recorder(2, "sub"), "/unicast/c2/s1/live"],
    ["vivotek", camera("main"), "/live1s1.sdp"],
    ["zavio", camera("third"), "/video.pro3"]
  ] as const) {
    it(`makes the address of the independent list: ${type} ${JSON.stringify(columns)}`, () => {
      assert.strictEqual(reveal(type, columns), listed)
    })
  }

  // not in that list; the sources stand beside the types
  for (const [type, columns, url] of [
    ["amcrest", recorder(2, "sub"), "/cam/realmonitor?channel=2&subtype=1"],
    ["annke", {}, "/Streaming/Channels/101"],
    ["arecont", camera("sub"), "/h264.sdp?res=half"],
    ["avigilon", camera("secondary"), "/defaultSecondary?streamType=u"],
    ["bosch", {}, "/rtsp_tunnel?line=1&inst=1"],
    ["bosch", recorder(4, "sub"), "/rtsp_tunnel?line=4&inst=2"],
    ["foscam", { stream: "sub", port: 554 }, ":554/videoSub"],
    ["hilook", camera("sub"), "/Streaming/Channels/102"],
    ["i-pro", camera("2"), "/MediaInput/stream_2"],
    ["milesight", {}, "/main"],
    ["zkteco", {}, "/ch01"],
    ["zkteco", recorder(12, "sub"), "/ch12_sub"],
    ["zkteco", recorder(2, "third"), "/ch02_third"],
    ["milesight", recorder(2, "third"), "/channel2/third"],
    ["openipc", camera("sub"), "/stream=1"],
    ["tapo", {}, "/stream1"],
    ["Tapo", camera("Sub"), "/stream2"],
    ["tiandy", recorder(3, "sub"), "/3/2"],
    ["uniview", camera("third"), "/media/video3"]
  ] as const) {
    it(`makes the vendor's address of ${type} ${JSON.stringify(columns)}`, () => {
      assert.strictEqual(reveal(type, columns), url)
    })
  }

  it("lists the streams of a vendor", () => {
    assert.strictEqual(
      reveal("reolink", { stream: "third" }),
      "! column stream: the value is not main, sub"
    )
    assert.strictEqual(
      reveal("tapo", { stream: "9" }),
      "! column stream: the value is not main, sub, 1, 2"
    )
  })

  it("puts the credentials into the path for Xiongmai, and shows them nowhere", () => {
    const url = Result.getOrThrow(
      types.toUrl("xiongmai", { host: "h", username: "ad min", password: "s3cr/t_x", channel: 2 })
    )
    assert.include(
      StreamUrl.reveal(url),
      "/user=ad%20min_password=s3cr%2Ft_x_channel=2_stream=0.sdp?real_stream"
    )
    for (const shown of [String(url), JSON.stringify(url)]) {
      assert.notInclude(shown, "s3cr")
      assert.notInclude(shown, "t_x")
    }
  })

  it("has one name, and a description of the device", () => {
    const names = [...types.all.values()].map(({ name }) => name)
    assert.strictEqual(new Set(names).size, names.length)
    for (const { description, name } of types.all.values()) assert.isNotEmpty(description, name)
  })

  it("stands in docs/camera-types.md", () => {
    const page = readFileSync(new URL("../../docs/camera-types.md", import.meta.url), "utf8")
    // the formatter aligns the table
    const unaligned = (text: string) => text.replaceAll(/ +/g, " ").replaceAll(/-{3,}/g, "---")
    assert.strictEqual(
      unaligned(page),
      unaligned(cameraTypesMarkdown()),
      "docs/camera-types.md is out of date: run npm run docs"
    )
  })
})
