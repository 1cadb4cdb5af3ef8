/** Wraps a keyframe as an MP4 of one picture, which a browser that supports the codec shows in a `<video>`. */
import * as H264 from "../rtsp/codec/H264.ts"
import * as H265 from "../rtsp/codec/H265.ts"
import type { Keyframe } from "./KeyframeTap.ts"

const startCode = Uint8Array.of(0, 0, 0, 1)

const annexB = (units: ReadonlyArray<Uint8Array>): Uint8Array =>
  Buffer.concat(units.flatMap((unit) => [startCode, unit]))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex").toUpperCase()

/** The codec string (RFC 6381) and the size; `undefined` if the parameter set is invalid. */
const description = ({ codec, units }: Keyframe) => {
  if (codec === "h264") {
    const set = units.find((unit) => H264.nalType(unit, 0) === H264.sequenceParameterSet)
    const size = set && H264.pictureSize(set)
    return set && size && { name: `avc1.${hex(set.subarray(1, 4))}`, size }
  }
  const set = units.find((unit) => H265.nalType(unit, 0) === H265.sequenceParameterSet)
  const size = set && H265.sequenceParameters(set)
  // Main profile, level 4.1: a valid codec string; the decoder uses the parameter sets in the file
  return size && { name: "hvc1.1.6.L123.B0", size }
}

/** The MP4 file; `undefined` for a keyframe with invalid parameter sets. */
export const mp4Of = async (keyframe: Keyframe): Promise<Uint8Array<ArrayBuffer> | undefined> => {
  const described = description(keyframe)
  if (described === undefined) return undefined
  // loaded on demand, with the first picture
  const { BufferTarget, EncodedPacket, EncodedVideoPacketSource, Mp4OutputFormat, Output } =
    await import("mediabunny")
  const target = new BufferTarget()
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: "in-memory" }), target })
  const source = new EncodedVideoPacketSource(keyframe.codec === "h264" ? "avc" : "hevc")
  output.addVideoTrack(source)
  await output.start()
  await source.add(new EncodedPacket(annexB(keyframe.units), "key", 0, 1), {
    decoderConfig: {
      codec: described.name,
      codedWidth: described.size.width,
      codedHeight: described.size.height
    }
  })
  await output.finalize()
  return target.buffer === null ? undefined : new Uint8Array(target.buffer)
}
