/** The profiles of a device, the choice for a row, and the URL of its stream. Pure. */
import * as Result from "effect/Result"
import { oneLine, redact } from "@restream/config"
import { OnvifError } from "../camera/Reason.ts"
import { StreamUrl } from "../camera/StreamUrl.ts"
import * as Xml from "./Xml.ts"

export interface Profile {
  readonly token: string
  readonly name: string
  /** The video input; `undefined` if the profile names none. */
  readonly source: string | undefined
  readonly encoding: string | undefined
  /** Width × height; 0 if unknown. */
  readonly pixels: number
}

/** The profile that a row selects. */
export interface Choice {
  /** `main`, `sub`, `third`, a number from 1, or the name or the token of a profile. */
  readonly stream: string
  /** The video input, counted from 1; `undefined`: the first. */
  readonly channel: number | undefined
}

/** Reads the response to GetProfiles, of the media service 1 or 2. */
export const profilesOf = (response: Xml.XmlElement): ReadonlyArray<Profile> =>
  Xml.children(response, "Profiles").map((element) => {
    const encoder =
      Xml.find(element, "VideoEncoderConfiguration") ??
      Xml.find(element, "Configurations", "VideoEncoder")
    const size = (side: string) => Number(Xml.text(encoder, "Resolution", side) ?? 0)
    const token = element.attributes["token"] ?? ""
    return {
      token,
      name: Xml.text(element, "Name") ?? token,
      source:
        Xml.text(element, "VideoSourceConfiguration", "SourceToken") ??
        Xml.text(element, "Configurations", "VideoSource", "SourceToken"),
      encoding: Xml.text(encoder, "Encoding"),
      pixels: size("Width") * size("Height") || 0
    }
  })

const ranks = ["main", "sub", "third"]

const fail = (detail: string) =>
  Result.fail(new OnvifError({ problem: "NoProfile", detail: oneLine(detail) }))

/** The profiles that carry video other than JPEG, if there are any. */
const withVideo = (profiles: ReadonlyArray<Profile>): ReadonlyArray<Profile> => {
  const encoded = profiles.filter(({ encoding }) => encoding !== undefined)
  const relayable = encoded.filter(({ encoding }) => !/jpe?g/i.test(encoding ?? ""))
  return [relayable, encoded].find(({ length }) => length > 0) ?? profiles
}

/**
 * The profile that a row selects: by its token or its name, else by its rank among the profiles of one video input,
 * ordered by the number of pixels. Profiles of one size keep the order of the device.
 */
export const choose = (
  profiles: ReadonlyArray<Profile>,
  { channel, stream }: Choice
): Result.Result<Profile, OnvifError> => {
  const word = stream.trim().toLowerCase()
  const named =
    profiles.find(({ token }) => token === stream.trim()) ??
    profiles.find(({ name }) => name.toLowerCase() === word)
  if (named !== undefined && channel === undefined) return Result.succeed(named)
  const usable = withVideo(profiles)
  const sources = [...new Set(usable.map(({ source }) => source))]
  const ofSource = (source: string | undefined) =>
    usable.filter((profile) => profile.source === source)
  if (channel !== undefined && channel > sources.length) {
    return fail(`the device has ${sources.length} video inputs, and no channel ${channel}`)
  }
  const first = ofSource(sources[(channel ?? 1) - 1])
  // some servers describe each stream as a separate input
  const candidates = channel === undefined && first.length < 2 ? usable : first
  const sorted = [...candidates].sort((a, b) => b.pixels - a.pixels)
  const rank = /^\d{1,3}$/.test(word) ? Number(word) - 1 : ranks.indexOf(word)
  const chosen =
    candidates.find(({ name, token }) => token === stream.trim() || name.toLowerCase() === word) ??
    sorted[rank]
  const names = sorted.map(({ name }) => name).slice(0, 8)
  return chosen === undefined
    ? fail(
        `the device has no profile for stream "${stream}"; its profiles: ${names.join(", ") || "none"}`
      )
    : Result.succeed(chosen)
}

/** RFC 3986, with deviations of devices: they leave out the host, or write 0.0.0.0 and port 0. */
const uriForm = /^(rtsps?):\/\/(?:[^/?#]*@)?(?:\[[^\]]*\]|[^:/?#]*)(?::(\d*))?([/?].*)?$/is

/**
 * The URL of a stream from the URL that the device gives. The host and the credentials are those of the row: behind
 * a NAT, and after a change of its address, a device may name an unreachable host.
 *
 * @param device the address of the row.
 * @param port replaces the port of the device's URL.
 */
export const mend = (
  uri: string,
  device: StreamUrl,
  port?: number
): Result.Result<StreamUrl, OnvifError> => {
  const parts = uriForm.exec(uri.trim())
  if (parts === null) {
    const detail =
      uri.trim() === ""
        ? "the device gave no URL for the stream"
        : `the device gave a URL that is not RTSP: ${oneLine(redact(uri, device.secrets)).slice(0, 120)}`
    return Result.fail(new OnvifError({ problem: "NoAddress", detail }))
  }
  const [, scheme = "rtsp", own, target] = parts
  const ownPort = Number(own)
  const isPort = ownPort >= 1 && ownPort <= 65_535
  const { credentials, host } = device
  return Result.succeed(
    new StreamUrl({
      scheme,
      host,
      port: port ?? (isPort ? ownPort : undefined),
      username: credentials?.username,
      password: credentials?.password,
      target
    })
  )
}
