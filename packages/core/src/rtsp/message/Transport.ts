/** The `Transport` header (RFC 2326 §12.39). */
import * as Result from "effect/Result"
import { Malformed } from "./Message.ts"

/** A pair of interleaved channels or of ports: RTP, then RTCP. */
export type Pair = readonly [rtp: number, rtcp: number]

export interface Transport {
  /** `RTP/AVP`, `RTP/SAVP`, … in upper case, without the lower transport. */
  readonly profile: string
  readonly lower: "TCP" | "UDP"
  readonly delivery?: "unicast" | "multicast" | undefined
  readonly interleaved?: Pair | undefined
  readonly clientPort?: Pair | undefined
  readonly serverPort?: Pair | undefined
  readonly ssrc?: number | undefined
  readonly mode?: "play" | "record" | undefined
}

/** TCP with interleaved frames on two channels. For playing, omit `mode`: some cameras reject it. */
export const interleaved = (channels: Pair, mode?: "play" | "record"): Transport => ({
  profile: "RTP/AVP",
  lower: "TCP",
  delivery: "unicast",
  interleaved: channels,
  mode
})

const pair = (value: string): Pair | undefined => {
  const match = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})?\s*)?$/.exec(value)
  if (match === null) return undefined
  const first = Number(match[1])
  const second = match[2] === undefined ? first : Number(match[2])
  // without a range the second channel is the next number
  return [first, second === first ? first + 1 : second]
}

const parseOne = (value: string): Transport | undefined => {
  const [specification = "", ...parameters] = value.split(";").map((part) => part.trim())
  const match = /^(RTP\/[A-Z]+)(?:\/(TCP|UDP))?$/.exec(specification.toUpperCase())
  if (match === null) return undefined
  const found: { -readonly [K in keyof Transport]: Transport[K] } = {
    profile: match[1] ?? "",
    lower: match[2] === "TCP" ? "TCP" : "UDP"
  }
  for (const parameter of parameters) {
    const equals = parameter.indexOf("=")
    const name = (equals === -1 ? parameter : parameter.slice(0, equals)).trim().toLowerCase()
    const content =
      equals === -1
        ? ""
        : parameter
            .slice(equals + 1)
            .replaceAll('"', "")
            .trim()
    switch (name) {
      case "unicast":
      case "multicast":
        found.delivery = name
        break
      case "interleaved":
        found.interleaved = pair(content)
        break
      case "client_port":
        found.clientPort = pair(content)
        break
      case "server_port":
        found.serverPort = pair(content)
        break
      case "ssrc":
        if (/^[0-9a-f]{1,8}$/i.test(content)) found.ssrc = Number.parseInt(content, 16)
        break
      case "mode":
        if (/^(?:record|receive)$/i.test(content)) found.mode = "record"
        else if (/^play$/i.test(content)) found.mode = "play"
        break
      default:
    }
  }
  return found
}

/** The transports of a header, in order; invalid ones are skipped. */
export const parse = (value: string): ReadonlyArray<Transport> =>
  value
    .split(",")
    .map(parseOne)
    .filter((transport) => transport !== undefined)

export const render = (transport: Transport): string => {
  const parts = [transport.lower === "TCP" ? `${transport.profile}/TCP` : transport.profile]
  if (transport.delivery !== undefined) parts.push(transport.delivery)
  const pairs = [
    ["interleaved", transport.interleaved],
    ["client_port", transport.clientPort],
    ["server_port", transport.serverPort]
  ] as const
  for (const [name, numbers] of pairs) {
    if (numbers !== undefined) parts.push(`${name}=${numbers[0]}-${numbers[1]}`)
  }
  if (transport.ssrc !== undefined) {
    parts.push(`ssrc=${transport.ssrc.toString(16).toUpperCase().padStart(8, "0")}`)
  }
  if (transport.mode !== undefined) parts.push(`mode=${transport.mode}`)
  return parts.join(";")
}

/**
 * The channels that a camera chose in its response to SETUP.
 *
 * Cameras choose other channels than requested, name only the first (`interleaved=0`), or write `RTP/AVP`
 * although they use TCP. Without channels in the response, the requested channels apply. A response with
 * ports and without channels is another transport: an error.
 */
export const chosenChannels = (
  answer: string | undefined,
  asked: Pair
): Result.Result<Pair, Malformed> => {
  const transports = answer === undefined ? [] : parse(answer)
  const chosen = transports.find((transport) => transport.interleaved !== undefined)?.interleaved
  if (chosen !== undefined) {
    return chosen[0] <= 255 && chosen[1] <= 255
      ? Result.succeed(chosen)
      : Result.fail(new Malformed({ detail: "camera chose a channel above 255" }))
  }
  const ports = transports.some(
    (transport) =>
      transport.clientPort !== undefined ||
      transport.serverPort !== undefined ||
      transport.delivery === "multicast"
  )
  return ports
    ? Result.fail(new Malformed({ detail: "camera chose a transport other than TCP" }))
    : Result.succeed(asked)
}
