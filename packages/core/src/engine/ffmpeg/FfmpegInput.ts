/** The arguments with which ffmpeg and ffprobe open a camera. */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as CommandLine from "effect/process/CommandLine"
import { InvalidUrl, Unsupported } from "../../camera/Reason.ts"
import { oneLine } from "@restream/config"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { StreamSource } from "../CameraStream.ts"
import { type Trust, trustOf } from "../../rtsp/client/Dialer.ts"
import { type FfmpegVersion, isAtLeast } from "./FfmpegVersion.ts"

export type Arguments = ReadonlyArray<CommandLine.Word>

export interface InputOptions {
  readonly version: FfmpegVersion
  /** The longest wait for one response, or for the next media. */
  readonly ioTimeoutMs: number
  /** Whether to request the camera's audio, too. */
  readonly wantsAudio: boolean
}

/**
 * The schemes that a camera may have, and the protocols that ffmpeg may use for each (`-protocol_whitelist`).
 *
 * What a camera sends may be a playlist, and ffmpeg opens the addresses in it: without a list, a row of the table
 * or a camera could make it publish local files. A scheme therefore allows only the protocols that it consists of.
 * An HTTP playlist may name other HTTP addresses, as HLS requires.
 */
const protocols: Readonly<Record<string, string>> = {
  rtsp: "rtp,udp,tcp",
  rtsps: "rtp,udp,tls,tcp",
  http: "http,crypto,tcp",
  https: "https,crypto,tls,tcp",
  rtmp: "rtmp,tcp",
  rtmps: "rtmps,tls,tcp",
  rtmpt: "rtmpt,ffrtmphttp,http,tcp",
  srt: "srt",
  udp: "udp",
  rtp: "rtp,udp",
  tcp: "tcp",
  mmsh: "mmsh,http,tcp",
  mmst: "mmst,tcp",
  rist: "rist"
}

export const isRtsp = (url: StreamUrl): boolean => url.scheme === "rtsp" || url.scheme === "rtsps"

/** The arguments from the camera's transport to its URL. The URL contains the credentials. */
export const inputArguments = (
  { options, url }: StreamSource,
  { ioTimeoutMs, version, wantsAudio }: InputOptions
): Result.Result<Arguments, InvalidUrl | Unsupported> => {
  const whitelist = Object.hasOwn(protocols, url.scheme) ? protocols[url.scheme] : undefined
  if (whitelist === undefined) {
    return Result.fail(
      new InvalidUrl({ detail: `cameras cannot be reached by ${oneLine(url.scheme)}://` })
    )
  }
  const ioTimeout = String(Math.max(1, Math.round(ioTimeoutMs)) * 1000)
  const address = ["-protocol_whitelist", whitelist, "-i", Redacted.make(StreamUrl.reveal(url))]
  return Result.map(
    trust(url, trustOf(options), version, "the camera's option insecure"),
    (trusting) => {
      // not -timeout: for RTMP it means "listen"
      if (!isRtsp(url)) return ["-rw_timeout", ioTimeout, ...trusting, ...address]
      return [
        "-rtsp_transport",
        options.transport,
        // in microseconds; before ffmpeg 5, -timeout meant "listen, for so many seconds"
        isAtLeast(version, 59) ? "-timeout" : "-stimeout",
        ioTimeout,
        "-allowed_media_types",
        wantsAudio ? "video+audio" : "video",
        ...trusting,
        ...address
      ]
    }
  )
}

/** The schemes of addresses that are encrypted with TLS. */
const tlsSchemes = new Set(["rtsps", "https", "rtmps"])

/**
 * The arguments with which ffmpeg verifies the certificate of a peer, or accepts any.
 *
 * Before ffmpeg 8, RTSP passes no options on to TLS, and a build with OpenSSL compares no certificate with the
 * host: older versions are refused unless `waiver`, an option, disables verification. ffmpeg 9 verifies by
 * default, but accepts any certificate for which an authority vouches, of a host at an IP address, too.
 */
export const trust = (
  url: StreamUrl,
  trust: Trust,
  version: FfmpegVersion,
  waiver: string
): Result.Result<ReadonlyArray<string>, Unsupported> => {
  if (!tlsSchemes.has(url.scheme)) return Result.succeed([])
  if (trust._tag === "Insecure") {
    const reachesTls = url.scheme !== "rtsps" || isAtLeast(version, 62)
    return Result.succeed(reachesTls ? ["-tls_verify", "0"] : [])
  }
  if (trust._tag === "Fingerprint") {
    return Result.fail(new Unsupported({ what: "the fingerprint of a certificate, by ffmpeg" }))
  }
  if (trust.ca !== undefined) {
    return Result.fail(new Unsupported({ what: "a private certificate authority, by ffmpeg" }))
  }
  const unchecked = (by: string) =>
    Result.fail(
      new Unsupported({
        what: `checking the certificate of ${url.authority}, by ffmpeg${by}; to skip this check, set ${waiver}`
      })
    )
  if (!isAtLeast(version, 62)) return unchecked(" before 8")
  // 8.0 with OpenSSL compares no name with an IP address: any certificate of any host would pass
  if (/^[\d.]+$|:/.test(url.host)) return unchecked(" without a host name")
  return Result.succeed(["-tls_verify", "1"])
}
