/** The arguments of ffmpeg, as pure functions of the job. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { InvalidUrl, Unsupported } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { Trust } from "../../rtsp/client/Dialer.ts"
import type { StreamSource } from "../CameraStream.ts"
import type { AudioTrack, StreamInfo } from "../StreamInfo.ts"
import { type Arguments, inputArguments, trust } from "./FfmpegInput.ts"
import { type FfmpegVersion, isAtLeast, isSevenZero } from "./FfmpegVersion.ts"

/** What one ffmpeg process relays. */
export interface RelayJob {
  readonly source: StreamSource
  /** What the camera sends, by ffprobe. */
  readonly info: StreamInfo
  /** Whether the camera is known to send its pictures in the order in which they are displayed. */
  readonly isInOrder: boolean
  readonly audio: AudioPlan
  /** The camera's path on the media server, with the server's credentials. */
  readonly destination: StreamUrl
  /** Default: ffmpeg's own. */
  readonly userAgent?: string | undefined
}

export interface FfmpegOptions {
  readonly version: FfmpegVersion
  /** How long ffmpeg waits for one response, or for the next media. */
  readonly ioTimeoutMs: number
  /** How to verify the certificate of an `rtsps` media server. */
  readonly serverTrust: Trust
}

/** What happens to the camera's audio. */
export type AudioPlan = "none" | "copy" | "aac" | "opus"

/** Whether ffmpeg has to decode and encode the audio. */
export const isTranscoding = (plan: AudioPlan): boolean => plan === "aac" || plan === "opus"

/**
 * The codecs that both ffmpeg's RTP muxer and a media server accept unchanged. AAC counts only with its
 * configuration, see {@link AudioTrack.copyable}.
 */
export const copyableAudio: ReadonlySet<string> = new Set([
  "aac",
  "opus",
  "mp2",
  "mp3",
  "pcm_alaw",
  "pcm_mulaw",
  "pcm_s16be",
  "pcm_s24be",
  "adpcm_g722"
])

/** The plan for the camera's audio by its policy. */
export const planAudio = ({ options }: StreamSource, { audio }: StreamInfo): AudioPlan => {
  const policy = options.audio
  if (audio === undefined || policy === "drop") return "none"
  if (policy === "copy") return "copy"
  const isCopyable = audio.copyable && copyableAudio.has(audio.codec)
  if (policy === "auto") return isCopyable ? "copy" : "aac"
  return audio.codec === policy && isCopyable ? "copy" : policy
}

/** The tracks that a relay publishes by an audio plan. */
export const publishedBy = (plan: AudioPlan, { audio, video }: StreamInfo): StreamInfo => {
  if (plan === "none" || audio === undefined) return { video, audio: undefined }
  if (plan === "copy") return { video, audio }
  const channels = audio.channels === undefined ? undefined : Math.min(audio.channels, 2)
  const sampleRate = plan === "opus" ? opusRate : audio.sampleRate
  return { video, audio: { codec: plan, sampleRate, channels, copyable: true } }
}

/** RFC 7587 §4.1: RTP timestamps of Opus always count at this rate, in Hz. */
const opusRate = 48_000

/** Low sample rates are speech; ffmpeg's AAC encoder gains nothing from more bits there. */
const aacBitrate = ({ sampleRate }: AudioTrack): string =>
  sampleRate !== undefined && sampleRate <= 16_000 ? "32k" : "96k"

const audioArguments = (plan: AudioPlan, audio: AudioTrack | undefined): ReadonlyArray<string> => {
  if (plan === "none" || audio === undefined) return ["-an"]
  // ?: no error if the camera has switched its audio off since the probe
  const map = ["-map", "0:a:0?"]
  if (plan === "copy") return [...map, "-c:a", "copy"]
  // stretches the audio over lost packets, so that it stays in sync with the video
  const steady = ["-af", "aresample=async=1"]
  const channels = (audio.channels ?? 1) > 2 ? ["-ac", "2"] : []
  // while it waits for the first audio, ffmpeg queues the video
  const queue = ["-max_muxing_queue_size", "4096"]
  return plan === "aac"
    ? [...queue, ...map, "-c:a", "aac", "-b:a", aacBitrate(audio), ...channels, ...steady]
    : [...queue, ...map, "-c:a", "libopus", "-b:a", "48k", "-ar", "48000", ...channels, ...steady]
}

/**
 * How long ffmpeg waits for one response, or for the next media: as long as opening the camera may take. For RTSP,
 * ffmpeg waits twice for media before it fails. With these factors it fails just before the stall timeout, unless
 * opening the camera may take longer.
 */
export const ioTimeoutMs = (
  { scheme }: StreamUrl,
  openTimeoutMs: number,
  stallTimeoutMs: number
): number => Math.max(openTimeoutMs, stallTimeoutMs * (scheme.startsWith("rtsp") ? 0.45 : 0.9))

/** The arguments for relaying a camera. Progress goes to file descriptor 3. */
export const ffmpegArguments = (
  job: RelayJob,
  { ioTimeoutMs, serverTrust, version }: FfmpegOptions
): Result.Result<Arguments, InvalidUrl | Unsupported> => {
  const { audio, destination, info, isInOrder, source, userAgent } = job
  const opening = inputArguments(source, {
    version,
    ioTimeoutMs,
    wantsAudio: audio !== "none"
  })
  const trusting = trust(destination, serverTrust, version, "mediaServer.insecure")
  return Result.flatMap(opening, (input) =>
    Result.map(trusting, (trusting): Arguments => [
      // with -nostdin ffmpeg 7.0 ignores TERM; its standard input is empty anyway
      ...(isSevenZero(version) ? [] : ["-nostdin"]),
      "-hide_banner",
      "-loglevel",
      "level+warning",
      "-nostats",
      ...(isAtLeast(version, 59) ? ["-stats_period", "1"] : []),
      "-progress",
      "pipe:3",
      // the frame rate is not needed, and measuring it delays the start by 2 s
      "-fpsprobesize",
      "0",
      // the longest time that the video waits for audio that is not sent
      "-analyzeduration",
      "2000000",
      // to find the order of H.264 pictures, ffmpeg would wait for seven of them
      ...(isInOrder ? ["-max_ts_probe", "0"] : []),
      "-fflags",
      "+genpts",
      ...(source.options.wallclock ? ["-use_wallclock_as_timestamps", "1"] : []),
      ...input,
      "-map",
      "0:v:0",
      "-c:v",
      "copy",
      ...audioArguments(audio, info.audio),
      // otherwise a microphone that sends nothing delays the video by 10 s
      "-max_interleave_delta",
      "500000",
      "-f",
      "rtsp",
      "-rtsp_transport",
      "tcp",
      // documented for the demuxer; the muxer accepts it as well (from 2018 to ffmpeg 9)
      ...(userAgent === undefined ? [] : ["-user_agent", userAgent]),
      ...trusting,
      Redacted.make(StreamUrl.reveal(destination))
    ])
  )
}
