import { assert, describe, it } from "@effect/vitest"
import { Ffmpeg } from "@restream/core"
import { Result } from "effect"
import * as fc from "fast-check"

const { read } = Ffmpeg.FfprobeReport

const video = { codec_type: "video", codec_name: "h264", width: 1920, height: 1080 }
const extradata = "\n00000000: 1210                                     ..\n"
const aac = {
  codec_type: "audio",
  codec_name: "aac",
  sample_rate: "44100",
  channels: 2,
  extradata
}
const pictureOfAlbum = {
  codec_type: "video",
  codec_name: "png",
  disposition: { attached_pic: 1 }
}

const reading = (...streams: ReadonlyArray<object>) =>
  Result.map(read(JSON.stringify({ streams })), ({ info }) => info)
const audioOf = (...streams: ReadonlyArray<object>) =>
  Result.getOrThrow(reading(video, ...streams)).audio
const faultOf = (result: Result.Result<unknown, { readonly _tag: string }>) =>
  Result.isFailure(result) ? result.failure._tag : undefined

describe("FfprobeReport", () => {
  it("finds video and audio", () => {
    assert.deepStrictEqual(Result.getOrThrow(reading(aac, video)), {
      video: { codec: "h264", width: 1920, height: 1080 },
      audio: { codec: "aac", sampleRate: 44_100, channels: 2, copyable: true }
    })
  })

  it("reports no size that ffprobe did not find", () => {
    const { video } = Result.getOrThrow(
      reading({ codec_type: "video", codec_name: "hevc", width: 0, height: 0 })
    )
    assert.deepStrictEqual(video, { codec: "hevc", width: undefined, height: undefined })
  })

  it("does not copy AAC without its configuration", () => {
    assert.isFalse(audioOf({ ...aac, extradata: "\n" })?.copyable)
    assert.isFalse(audioOf({ ...aac, extradata: undefined })?.copyable)
    assert.isTrue(audioOf(aac)?.copyable)
  })

  it("copies what the media server accepts", () => {
    const copyable = (codec_name: string) => audioOf({ codec_type: "audio", codec_name })?.copyable
    for (const codec of ["opus", "pcm_alaw", "pcm_mulaw", "mp3", "mp2", "adpcm_g722"]) {
      assert.isTrue(copyable(codec), codec)
    }
    for (const codec of ["adpcm_g726le", "amr_nb", "speex", "pcm_s16le", "ac3"]) {
      assert.isFalse(copyable(codec), codec)
    }
  })

  it("skips audio of an unknown codec", () => {
    assert.isUndefined(audioOf({ codec_type: "audio", sample_rate: "8000" }))
    assert.strictEqual(audioOf({ codec_type: "audio" }, aac)?.codec, "aac")
  })

  it("finds no video in audio, in metadata, in a cover picture, or in an empty report", () => {
    for (const streams of [[aac], [{ codec_type: "data" }], [pictureOfAlbum, aac], []]) {
      assert.strictEqual(faultOf(reading(...streams)), "NoVideo")
    }
  })

  it("rejects video of an unknown codec", () => {
    assert.strictEqual(faultOf(reading({ codec_type: "video" })), "Unsupported")
  })

  it("reports the program for an invalid report", () => {
    for (const report of ["", "{}", '{ "streams": 7 }', "Segmentation fault", "{"]) {
      assert.strictEqual(faultOf(read(report)), "LaunchFailed", report)
    }
  })

  it("never throws on any report", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void read(text)))
  })
})

describe("FfprobeReport, from the parameter sets of the description,", () => {
  const stream = (codec: string, dump: string) =>
    JSON.stringify({
      streams: [{ codec_type: "video", codec_name: codec, width: 0, height: 0, extradata: dump }]
    })
  const dumped = (bytes: Buffer) => {
    const lines: Array<string> = []
    for (let at = 0; at < bytes.length; at += 16) {
      const hex = bytes.toString("hex", at, Math.min(at + 16, bytes.length))
      const words = (hex.match(/.{1,4}/g) ?? []).join(" ")
      lines.push(`${at.toString(16).padStart(8, "0")}: ${words.padEnd(39)}  abcd0123 ef`)
    }
    return `\n${lines.join("\n")}\n`
  }
  const startCode = Buffer.from([0, 0, 0, 1])
  const annexB = (...sets: ReadonlyArray<string>) =>
    dumped(Buffer.concat(sets.flatMap((set) => [startCode, Buffer.from(set, "base64")])))

  it("reads the size of H.264, and whether the pictures are in order", () => {
    const baseline =
      "\n00000000: 0000 0001 6742 c014 da10 9900 0000 0168  ....gB.........h\n00000010: ce3c 80                                  .<.\n"
    assert.deepInclude(Result.getOrThrow(read(stream("h264", baseline))), {
      info: { video: { codec: "h264", width: 64, height: 64 }, audio: undefined },
      isInOrder: true
    })
    const high = annexB("Z2QAKKzZQHgCJ+XARAAAAwAEAAADAMg8YMZY", "aO48gA==")
    const { info, isInOrder } = Result.getOrThrow(read(stream("h264", high)))
    assert.deepInclude(info.video, { width: 1920, height: 1080 })
    assert.isFalse(isInOrder)
  })

  it("reports no size and no order without them", () => {
    for (const dump of ["", "\n", "\n00000000: 0000 0001 68ce 3c80\n", "no dump"]) {
      assert.deepStrictEqual(Result.getOrThrow(read(stream("h264", dump))), {
        info: { video: { codec: "h264", width: undefined, height: undefined }, audio: undefined },
        isInOrder: false
      })
    }
  })
})
