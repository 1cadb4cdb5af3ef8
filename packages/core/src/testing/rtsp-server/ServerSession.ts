/** A session of the server, and SETUP of its tracks. */
import { randomBytes } from "node:crypto"
import { withoutSlashes } from "../../rtsp/url/BaseUrl.ts"
import { header, type Request } from "../../rtsp/message/Message.ts"
import type { SessionDescription } from "../../rtsp/sdp/Sdp.ts"
import * as SessionHeader from "../../rtsp/message/SessionHeader.ts"
import * as Transport from "../../rtsp/message/Transport.ts"
import type { ServerResponse } from "./ServerResponse.ts"
import type { ServerStream } from "./ServerStream.ts"
import type { Quirks } from "./Quirks.ts"
import type { Reader } from "./Reader.ts"

/** A session, from `ANNOUNCE` or the first `SETUP` on. */
export interface Session {
  readonly id: string
  readonly role: "reader" | "publisher"
  readonly path: string
  readonly quirks: Quirks
  readonly description: SessionDescription
  /** The prefix of the tracks' URLs; for a publisher. */
  readonly url: string
  readonly channels: Map<number, Transport.Pair>
  stream: ServerStream | undefined
  reader: Reader | undefined
}

/** The path including its query, without a track: `cam/realmonitor?channel=1`. */
export const pathOf = (uri: string): string =>
  withoutSlashes(uri.replace(/^[a-z]+:\/\/[^/?]*/i, "").replace(/^\/+/, ""))

/** The track after a path. */
export const trackSuffix = /\/?(?:trackID|streamid|track)=(\d{1,3})\/?$/i

export const makeSession = (
  fields: Pick<Session, "role" | "path" | "quirks" | "description" | "url" | "stream">
): Session => ({
  ...fields,
  id: randomBytes(8).toString("hex"),
  channels: new Map(),
  reader: undefined
})

/** A publisher's track by its URL: the announced URL, a slash, and the control (gortsplib, `findMediaByURL`). */
const announcedTrack = (session: Session, uri: string): number | undefined => {
  const track = session.description.medias.findIndex((media) =>
    /^rtsps?:\/\//i.test(media.control ?? "")
      ? media.control === uri
      : `${session.url}/${media.control ?? ""}` === uri
  )
  return track === -1 ? undefined : track
}

const playedTrack = (session: Session, uri: string): number | undefined => {
  const track = trackSuffix.exec(uri)?.[1]
  if (track === undefined) return session.description.medias.length === 1 ? 0 : undefined
  return Number(track) < session.description.medias.length ? Number(track) : undefined
}

const renderTransport = (
  { channels: all, role }: Session,
  channels: Transport.Pair,
  quirks: Quirks
): string => {
  const [first = channels] = all.values()
  const announced = quirks.interleaved === "repeated" ? first : channels
  const whole = Transport.render(
    Transport.interleaved(announced, role === "publisher" ? "record" : undefined)
  )
  const named =
    quirks.interleaved === "first"
      ? whole.replace(/;interleaved=[\d-]+/, `;interleaved=${announced[0]}`)
      : quirks.interleaved === "missing"
        ? whole.replace(/;interleaved=[\d-]+/, "")
        : whole
  return quirks.claimsUdp === true ? named.replace("RTP/AVP/TCP", "RTP/AVP") : named
}

/** The first of two channels for a track: the requested channel, or the next free one. */
const channelsFor = (session: Session, asked: Transport.Pair | undefined): number | undefined => {
  const used = new Set([...session.channels.values()].flat())
  if (asked !== undefined) {
    const [first, second] = asked
    return second === first + 1 && !used.has(first) && !used.has(second) ? first : undefined
  }
  let first = 0
  while (used.has(first)) first += 2
  return first
}

/** Sets up one track of a session. */
export const setup = (
  session: Session,
  request: Request,
  transport: Transport.Transport,
  quirks: Quirks
): ServerResponse => {
  const publishes = session.role === "publisher"
  if (session.reader !== undefined || (publishes && session.stream !== undefined)) {
    return { status: 455 }
  }
  if (publishes ? transport.mode !== "record" : transport.mode === "record") {
    return { status: 400, close: "SETUP with the wrong mode" }
  }
  if (!publishes && quirks.rejectsMode === true && transport.mode !== undefined) {
    return { status: 400 }
  }
  const track = publishes ? announcedTrack(session, request.uri) : playedTrack(session, request.uri)
  if (track === undefined) {
    return publishes ? { status: 400, close: "SETUP of an unknown track" } : { status: 404 }
  }
  if (quirks.rejectsAudio === true && session.description.medias[track]?.kind === "audio") {
    return { status: 404 }
  }
  const asked = channelsFor(session, transport.interleaved)
  if (asked === undefined || session.channels.has(track)) {
    return { status: 400, close: "SETUP with invalid channels" }
  }
  const first = asked + (quirks.channelOffset ?? 0)
  const channels: Transport.Pair = [first, first + 1]
  session.channels.set(track, channels)
  const timeoutSeconds = quirks.sessionTimeoutSeconds ?? SessionHeader.defaultTimeoutSeconds
  return {
    status: 200,
    headers: [
      ["Transport", renderTransport(session, channels, quirks)],
      ["Session", SessionHeader.render({ id: session.id, timeoutSeconds })]
    ]
  }
}

/** Whether a request names the session. */
export const names = (session: Session, request: Request): boolean =>
  header(request, "session")?.split(";")[0]?.trim() === session.id
