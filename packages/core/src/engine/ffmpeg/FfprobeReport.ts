/** Parses ffprobe's report: which tracks a camera sends. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NoVideo, LaunchFailed, Unsupported } from "../../camera/Reason.ts"
import * as H264 from "../../rtsp/codec/H264.ts"
import * as H265 from "../../rtsp/codec/H265.ts"
import type { AudioTrack, StreamInfo } from "../StreamInfo.ts"
import { copyableAudio } from "./FfmpegArgs.ts"

const Stream = Schema.Struct({
  codec_type: Schema.optional(Schema.String),
  /** Missing if ffprobe does not know the codec. */
  codec_name: Schema.optional(Schema.String),
  /** 0 if unknown. */
  width: Schema.optional(Schema.Finite),
  height: Schema.optional(Schema.Finite),
  sample_rate: Schema.optional(Schema.FiniteFromString),
  channels: Schema.optional(Schema.Finite),
  /** The codec's configuration as a hexadecimal dump; blank if there is none. */
  extradata: Schema.optional(Schema.String),
  disposition: Schema.optional(Schema.Struct({ attached_pic: Schema.optional(Schema.Finite) }))
})
type Stream = typeof Stream.Type

const Report = Schema.fromJsonString(Schema.Struct({ streams: Schema.Array(Stream) }))

const decode = Schema.decodeUnknownResult(Report)

const positive = (value: number | undefined): number | undefined =>
  value !== undefined && value > 0 ? value : undefined

/** The bytes of a hexadecimal dump: `00000000: 0000 0001 6742 c014 …  ....gB..`. */
const dumpedBytes = (dump: string): Buffer =>
  Buffer.from(
    dump
      .split("\n")
      .map((line) => /^[0-9a-f]{8}: ((?:[0-9a-f]{2,4} ?)+)/.exec(line)?.[1] ?? "")
      .join("")
      .replaceAll(" ", ""),
    "hex"
  )

/** The units of a byte stream (ITU-T H.264 annex B). */
const unitsOf = (bytes: Buffer): ReadonlyArray<Buffer> => {
  const units: Array<Buffer> = []
  const startCode = Buffer.from([0, 0, 1])
  let start = bytes.indexOf(startCode)
  while (start !== -1) {
    const next = bytes.indexOf(startCode, start + 3)
    units.push(bytes.subarray(start + 3, next === -1 ? bytes.length : next))
    start = next
  }
  return units
}

/** The parameters of the video, from the parameter sets in a camera's description. */
const fromParameterSets = (
  codec: string,
  { extradata = "" }: Stream
): Partial<H264.SequenceParameters> | undefined => {
  if (codec !== "h264" && codec !== "hevc") return undefined
  const parse = codec === "h264" ? H264.sequenceParameters : H265.sequenceParameters
  for (const unit of unitsOf(dumpedBytes(extradata))) {
    const parameters = parse(unit)
    if (parameters !== undefined) return parameters
  }
  return undefined
}

const audioTrack = (codec: string, stream: Stream): AudioTrack => ({
  codec,
  sampleRate: positive(stream.sample_rate),
  channels: positive(stream.channels),
  copyable: copyableAudio.has(codec) && (codec !== "aac" || (stream.extradata ?? "").trim() !== "")
})

/** What ffprobe reports of a camera. */
export interface CameraReport {
  readonly info: StreamInfo
  /** Whether the camera is known to send its pictures in the order in which they are displayed. */
  readonly isInOrder: boolean
}

/** Parses ffprobe's report. */
export const read = (
  report: string
): Result.Result<CameraReport, NoVideo | Unsupported | LaunchFailed> => {
  const decoded = decode(report)
  if (Result.isFailure(decoded)) {
    return Result.fail(new LaunchFailed({ detail: "the output of ffprobe is not a report" }))
  }
  const { streams } = decoded.success
  const videos = streams.filter(
    (stream) => stream.codec_type === "video" && stream.disposition?.attached_pic !== 1
  )
  const video = videos.find(({ codec_name }) => codec_name !== undefined)
  if (video?.codec_name === undefined) {
    return Result.fail(
      videos.length === 0
        ? new NoVideo({})
        : new Unsupported({ what: "the camera's video codec, by ffprobe" })
    )
  }
  // audio in an unknown codec can be neither copied nor transcoded
  const audio = streams.find(
    ({ codec_name, codec_type }) => codec_type === "audio" && codec_name !== undefined
  )
  const codec = video.codec_name
  const parameters = fromParameterSets(codec, video)
  return Result.succeed({
    info: {
      video: {
        codec,
        width: positive(video.width) ?? parameters?.width,
        height: positive(video.height) ?? parameters?.height
      },
      audio: audio?.codec_name === undefined ? undefined : audioTrack(audio.codec_name, audio)
    },
    isInOrder: parameters?.mayReorder === false
  })
}
