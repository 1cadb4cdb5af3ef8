/** Reads ffprobe's report: which tracks a camera offers. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { NoVideo, LaunchFailed, Unsupported } from "../../camera/Reason.ts"
import type { AudioTrack, StreamInfo, VideoTrack } from "../StreamInfo.ts"
import { copyableAudio } from "./FfmpegArgs.ts"

const Stream = Schema.Struct({
  codec_type: Schema.optional(Schema.String),
  /** Missing where ffprobe does not know the codec. */
  codec_name: Schema.optional(Schema.String),
  /** 0 where it is not known. */
  width: Schema.optional(Schema.Finite),
  height: Schema.optional(Schema.Finite),
  sample_rate: Schema.optional(Schema.FiniteFromString),
  channels: Schema.optional(Schema.Finite),
  /** The codec's configuration as a dump in hexadecimal; blank where there is none. */
  extradata: Schema.optional(Schema.String),
  disposition: Schema.optional(Schema.Struct({ attached_pic: Schema.optional(Schema.Finite) }))
})
type Stream = typeof Stream.Type

const Report = Schema.fromJsonString(Schema.Struct({ streams: Schema.Array(Stream) }))

const decode = Schema.decodeUnknownResult(Report)

const positive = (value: number | undefined): number | undefined =>
  value !== undefined && value > 0 ? value : undefined

const videoTrack = (codec: string, { height, width }: Stream): VideoTrack => ({
  codec,
  width: positive(width),
  height: positive(height)
})

const audioTrack = (codec: string, stream: Stream): AudioTrack => ({
  codec,
  sampleRate: positive(stream.sample_rate),
  channels: positive(stream.channels),
  copyable: copyableAudio.has(codec) && (codec !== "aac" || (stream.extradata ?? "").trim() !== "")
})

/** What a camera offers, by ffprobe's report on its standard output. */
export const read = (
  report: string
): Result.Result<StreamInfo, NoVideo | Unsupported | LaunchFailed> => {
  const decoded = decode(report)
  if (Result.isFailure(decoded)) {
    return Result.fail(new LaunchFailed({ detail: "ffprobe gave a report that is none" }))
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
  // sound in a codec that nobody knows can be neither copied nor transcoded
  const audio = streams.find(
    ({ codec_name, codec_type }) => codec_type === "audio" && codec_name !== undefined
  )
  return Result.succeed({
    video: videoTrack(video.codec_name, video),
    audio: audio?.codec_name === undefined ? undefined : audioTrack(audio.codec_name, audio)
  })
}
