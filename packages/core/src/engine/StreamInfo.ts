/** What a camera sends, as an engine reads it when it opens the camera's stream. */
import * as Schema from "effect/Schema"

/** The video of a stream. */
export const VideoTrack = Schema.Struct({
  /** In lower case, as ffmpeg names it: `h264`, `hevc`, `mjpeg`, `av1`, … */
  codec: Schema.String,
  /** In pixels; missing where the camera's description has no size. */
  width: Schema.optional(Schema.UndefinedOr(Schema.Finite)),
  height: Schema.optional(Schema.UndefinedOr(Schema.Finite))
})
export type VideoTrack = typeof VideoTrack.Type

/** The audio of a stream. */
export const AudioTrack = Schema.Struct({
  /** In lower case, as ffmpeg names it: `aac`, `pcm_alaw`, `pcm_mulaw`, `opus`, … */
  codec: Schema.String,
  /** In Hz. */
  sampleRate: Schema.optional(Schema.UndefinedOr(Schema.Finite)),
  channels: Schema.optional(Schema.UndefinedOr(Schema.Finite)),
  /**
   * Whether a media server accepts the track unchanged. An AAC track without its configuration can't be
   * copied: the server would reject the video along with it.
   */
  copyable: Schema.Boolean
})
export type AudioTrack = typeof AudioTrack.Type

/** The tracks of a stream: one video and at most one audio. */
export const StreamInfo = Schema.Struct({
  video: VideoTrack,
  /** `undefined`: the stream has no audio. */
  audio: Schema.UndefinedOr(AudioTrack)
})
export type StreamInfo = typeof StreamInfo.Type
