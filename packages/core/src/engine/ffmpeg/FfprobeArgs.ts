/** The arguments of ffprobe. */
import * as Result from "effect/Result"
import type { InvalidUrl, Unsupported } from "../../camera/Reason.ts"
import type { StreamSource } from "../CameraStream.ts"
import { type Arguments, inputArguments, isRtsp } from "./FfmpegInput.ts"
import type { FfmpegVersion } from "./FfmpegVersion.ts"

export interface FfprobeOptions {
  readonly version: FfmpegVersion
  /** The deadline of the whole probe. */
  readonly timeoutMs: number
}

/** The longest analysis of media. For sources other than RTSP, which describes its streams. */
const analysisMs = 2000

/** The I/O timeout: ffprobe fails with a message just before the deadline. */
export const ioTimeoutMs = (timeoutMs: number): number => timeoutMs * 0.9

/** The arguments for probing a camera, with the report as JSON on the standard output. */
export const ffprobeArguments = (
  target: StreamSource,
  { timeoutMs, version }: FfprobeOptions
): Result.Result<Arguments, InvalidUrl | Unsupported> =>
  Result.map(
    inputArguments(target, { version, ioTimeoutMs: ioTimeoutMs(timeoutMs), wantsAudio: true }),
    (input) => [
      "-hide_banner",
      // verbose reports the progress: connected, described
      "-loglevel",
      "level+verbose",
      "-print_format",
      "json",
      "-show_streams",
      // extradata: the parameter sets of the video, and the configuration of the audio
      "-show_data",
      ...(isRtsp(target.url)
        ? // the description is enough: a camera may send the first picture much later
          ["-nofind_stream_info"]
        : [
            // the frame rate is not needed, and costs 2 s
            "-fpsprobesize",
            "0",
            "-analyzeduration",
            String(Math.min(analysisMs, timeoutMs / 2) * 1000)
          ]),
      ...input
    ]
  )
