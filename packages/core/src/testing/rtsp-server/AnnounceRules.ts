/**
 * The requirements of MediaMTX for an announcement, so that a test against this server fails if MediaMTX would
 * reject the publisher (gortsplib v5: `server_session.go`, `pkg/format/*.go`).
 */
import * as Result from "effect/Result"
import * as Aac from "../../rtsp/codec/Aac.ts"
import { header, type Request } from "../../rtsp/message/Message.ts"
import * as H265 from "../../rtsp/codec/H265.ts"
import * as Sdp from "../../rtsp/sdp/Sdp.ts"

const whole = (text: string | undefined): boolean => text !== undefined && /^\d+$/.test(text)

const isBase64 = (text: string): boolean =>
  text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)

const wrongWithAac = (fmtp: ReadonlyMap<string, string>): string | undefined => {
  const config = fmtp.get("config")
  const size = fmtp.get("sizelength")
  const mode = fmtp.get("mode")
  if (fmtp.has("streamtype") && fmtp.get("streamtype") !== "5") return "streamtype of AAC must be 5"
  if (mode !== undefined && !/^aac[-_]hbr$/i.test(mode)) return "unsupported AAC mode"
  if (fmtp.has("profile-level-id") && !whole(fmtp.get("profile-level-id"))) {
    return "invalid profile-level-id"
  }
  if (config === undefined) return "config is missing"
  if (Aac.parseConfig(config) === undefined) return "invalid AAC config"
  return size === undefined || !whole(size) || Number(size) === 0
    ? "sizelength is missing"
    : undefined
}

const wrongWithH264 = (fmtp: ReadonlyMap<string, string>): string | undefined => {
  const mode = fmtp.get("packetization-mode") ?? "0"
  const sets = (fmtp.get("sprop-parameter-sets") ?? "").split(",")
  if (sets.length >= 2 && !sets.slice(0, 2).every(isBase64)) return "invalid sprop-parameter-sets"
  if (!whole(mode)) return "invalid packetization-mode"
  return mode === "0" ? "H264 with packetization-mode=0 is not supported" : undefined
}

const wrongWithH265 = (fmtp: ReadonlyMap<string, string>): string | undefined => {
  for (const name of ["sprop-vps", "sprop-sps", "sprop-pps"]) {
    const value = fmtp.get(name)
    if (value !== undefined && !isBase64(value)) return `invalid ${name}`
  }
  const sps = fmtp.get("sprop-sps")
  const parameters =
    sps === undefined ? undefined : H265.sequenceParameters(Buffer.from(sps, "base64"))
  return sps !== undefined && (parameters === undefined || parameters.describesSubLayers)
    ? "invalid SPS"
    : undefined
}

const wrongWithFormat = (format: Sdp.Format): string | undefined => {
  switch (format.encoding?.toLowerCase()) {
    case "h264":
      return wrongWithH264(format.fmtp)
    case "h265":
      return wrongWithH265(format.fmtp)
    case "mpeg4-generic":
      return wrongWithAac(format.fmtp)
    case "opus":
      return format.clockRate === 48_000 && format.parameters === "2" ? undefined : "invalid clock"
    case undefined:
      return format.payloadType >= 96 ? "clock rate not found" : undefined
    default:
      return format.clockRate === undefined ? "invalid clock" : undefined
  }
}

/** Parses the description of an `ANNOUNCE`; the failure says why MediaMTX would reject it. */
export const readAnnouncement = (
  request: Request
): Result.Result<Sdp.SessionDescription, string> => {
  if (header(request, "content-type") !== "application/sdp") {
    return Result.fail("the Content-Type is not application/sdp")
  }
  if (/^[a-z]+:\/\/[^?]*\/$/i.test(request.uri)) {
    return Result.fail("the URL ends with a slash")
  }
  const session = Sdp.parse(Buffer.from(request.body).toString("utf8"))
  if (Result.isFailure(session)) return Result.fail(session.failure.detail)
  const { medias } = session.success
  if (
    medias.some((media) => media.direction === "sendonly") &&
    medias.some((media) => media.direction !== "sendonly")
  ) {
    return Result.fail("back channels cannot be recorded")
  }
  for (const media of medias) {
    if (media.formats.length === 0) return Result.fail("no formats found")
    for (const format of media.formats) {
      const wrong = wrongWithFormat(format)
      if (wrong !== undefined) return Result.fail(wrong)
    }
  }
  return Result.succeed(session.success)
}
