/** The arguments of ffmpeg, as a pure function of the job. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { InvalidUrl, Unsupported } from "../../camera/Reason.ts"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { AudioTrack } from "../StreamInfo.ts"
import type { RelayJob } from "../RunningRelay.ts"
import type { Trust } from "../../rtsp/client/Dialer.ts"
import { type Arguments, inputArguments, trust } from "./FfmpegInput.ts"
import { type FfmpegVersion, isAtLeast, isSevenZero } from "./FfmpegVersion.ts"

export interface FfmpegOptions {
  readonly version: FfmpegVersion
  /** After how long a stall is noticed; ffmpeg gives up on a silent camera before that. */
  readonly stallTimeoutMs: number
  /** Whose certificate of an `rtsps` media server is good. */
  readonly serverTrust: Trust
}

/** What happens to the camera's sound. */
export type AudioPlan = "none" | "copy" | "aac" | "opus"

/**
 * What both ffmpeg's RTP muxer and a media server take as it is. AAC is in it, although only with its
 * configuration: that is what {@link AudioTrack.copyable} tells.
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

/** What the camera's policy means for the sound that it offers. */
export const planAudio = ({ camera, offer }: Pick<RelayJob, "camera" | "offer">): AudioPlan => {
  const { audio } = offer
  const policy = camera.options.audio
  if (audio === undefined || policy === "drop") return "none"
  if (policy === "copy") return "copy"
  const isCopyable = audio.copyable && copyableAudio.has(audio.codec)
  if (policy === "auto") return isCopyable ? "copy" : "aac"
  return audio.codec === policy && isCopyable ? "copy" : policy
}

/** Low sample rates are telephone sound; ffmpeg's AAC has no use for more bits there. */
const aacBitrate = ({ sampleRate }: AudioTrack): string =>
  sampleRate !== undefined && sampleRate <= 16_000 ? "32k" : "96k"

const audioArguments = (plan: AudioPlan, audio: AudioTrack | undefined): ReadonlyArray<string> => {
  if (plan === "none" || audio === undefined) return ["-an"]
  // the ? forgives a camera that has switched its sound off since the probe
  const map = ["-map", "0:a:0?"]
  if (plan === "copy") return [...map, "-c:a", "copy"]
  // stretches the sound over lost packets, so that it stays with the picture
  const steady = ["-af", "aresample=async=1"]
  const channels = (audio.channels ?? 1) > 2 ? ["-ac", "2"] : []
  return plan === "aac"
    ? [...map, "-c:a", "aac", "-b:a", aacBitrate(audio), ...channels, ...steady]
    : [...map, "-c:a", "libopus", "-b:a", "48k", "-ar", "48000", ...channels, ...steady]
}

/**
 * ffmpeg waits twice for media that don't come before it gives up, once for an answer. Half the
 * stall time each, less a tenth, makes it give up by itself, with a message.
 */
export const ioTimeoutMs = (url: StreamUrl, stallTimeoutMs: number): number =>
  stallTimeoutMs * (url.scheme.startsWith("rtsp") ? 0.45 : 0.9)

/** The arguments for relaying a camera. Progress goes to file descriptor 3. */
export const ffmpegArguments = (
  job: RelayJob,
  { serverTrust, stallTimeoutMs, version }: FfmpegOptions
): Result.Result<Arguments, InvalidUrl | Unsupported> => {
  const { camera, destination, offer } = job
  const plan = planAudio(job)
  const opening = inputArguments(camera, {
    version,
    ioTimeoutMs: ioTimeoutMs(camera.url, stallTimeoutMs),
    wantsAudio: plan !== "none"
  })
  const trusting = trust(destination, serverTrust, version, "mediaServer.insecure")
  return Result.flatMap(opening, (input) =>
    Result.map(trusting, (trusting): Arguments => [
      // with -nostdin ffmpeg 7.0 is deaf to TERM; its standard input is empty anyway
      ...(isSevenZero(version) ? [] : ["-nostdin"]),
      "-hide_banner",
      "-loglevel",
      "level+warning",
      "-nostats",
      ...(isAtLeast(version, 59) ? ["-stats_period", "1"] : []),
      "-progress",
      "pipe:3",
      // the frame rate is of no interest, and measuring it delays the start by 2 s
      "-fpsprobesize",
      "0",
      "-fflags",
      "+genpts",
      ...(camera.options.wallclock ? ["-use_wallclock_as_timestamps", "1"] : []),
      ...input,
      "-map",
      "0:v:0",
      "-c:v",
      "copy",
      ...audioArguments(plan, offer.audio),
      // or a camera whose microphone sends nothing holds the picture back by 10 s, for ever
      "-max_interleave_delta",
      "500000",
      "-f",
      "rtsp",
      "-rtsp_transport",
      "tcp",
      ...trusting,
      Redacted.make(StreamUrl.reveal(destination))
    ])
  )
}
