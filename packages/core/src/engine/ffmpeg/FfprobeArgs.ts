/** The arguments of ffprobe. */
import * as Result from "effect/Result"
import type { InvalidUrl, Unsupported } from "../../camera/Reason.ts"
import type { StreamSource } from "../CameraStream.ts"
import { type Arguments, inputArguments } from "./FfmpegInput.ts"
import type { FfmpegVersion } from "./FfmpegVersion.ts"

export interface FfprobeOptions {
  readonly version: FfmpegVersion
  /** The deadline of the whole probe. */
  readonly timeoutMs: number
}

/**
 * How long media are looked at, at most. The codecs stand in the camera's description; only a picture
 * size that is missing there has to come from the media.
 */
const analysisMs = 2000

/** How long one answer may take, so that ffprobe gives up by itself just before the deadline. */
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
      // verbose tells how far it came: connected, described
      "-loglevel",
      "level+verbose",
      "-print_format",
      "json",
      "-show_streams",
      // extradata itself, because ffprobe before 5 does not tell its size
      "-show_data",
      // the frame rate is of no interest, and costs 2 s
      "-fpsprobesize",
      "0",
      "-analyzeduration",
      String(Math.min(analysisMs, timeoutMs / 2) * 1000),
      ...input
    ]
  )
