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

const reading = (...streams: ReadonlyArray<object>) => read(JSON.stringify({ streams }))
const audioOf = (...streams: ReadonlyArray<object>) =>
  Result.getOrThrow(reading(video, ...streams)).audio
const faultOf = (result: ReturnType<typeof read>) =>
  Result.isFailure(result) ? result.failure._tag : undefined

describe("FfprobeReport", () => {
  it("tells video and sound", () => {
    assert.deepStrictEqual(Result.getOrThrow(reading(aac, video)), {
      video: { codec: "h264", width: 1920, height: 1080 },
      audio: { codec: "aac", sampleRate: 44_100, channels: 2, copyable: true }
    })
  })

  it("tells no size that ffprobe did not find", () => {
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

  it("copies what the media server takes", () => {
    const copyable = (codec_name: string) => audioOf({ codec_type: "audio", codec_name })?.copyable
    for (const codec of ["opus", "pcm_alaw", "pcm_mulaw", "mp3", "mp2", "adpcm_g722"]) {
      assert.isTrue(copyable(codec), codec)
    }
    for (const codec of ["adpcm_g726le", "amr_nb", "speex", "pcm_s16le", "ac3"]) {
      assert.isFalse(copyable(codec), codec)
    }
  })

  it("passes over sound that nobody knows", () => {
    assert.isUndefined(audioOf({ codec_type: "audio", sample_rate: "8000" }))
    assert.strictEqual(audioOf({ codec_type: "audio" }, aac)?.codec, "aac")
  })

  it("finds no video in sound, in metadata, in a cover picture, or in nothing", () => {
    for (const streams of [[aac], [{ codec_type: "data" }], [pictureOfAlbum, aac], []]) {
      assert.strictEqual(faultOf(reading(...streams)), "NoVideo")
    }
  })

  it("can't use video that ffprobe does not know", () => {
    assert.strictEqual(faultOf(reading({ codec_type: "video" })), "Unsupported")
  })

  it("blames the program for a report that is none", () => {
    for (const report of ["", "{}", '{ "streams": 7 }', "Segmentation fault", "{"]) {
      assert.strictEqual(faultOf(read(report)), "LaunchFailed", report)
    }
  })

  it("reads anything without an exception", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void read(text)))
  })
})
