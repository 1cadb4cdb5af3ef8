/**
 * Where viewers watch a camera on the media server.
 *
 * Viewers and restream may reach the media server by different addresses: restream often publishes to
 * 127.0.0.1, which no other machine can open.
 */
import { bracketed, type Settings } from "@restream/config"
import type { Camera } from "../camera/Camera.ts"
import * as PercentEncoding from "../camera/PercentEncoding.ts"

/** The addresses of one camera for viewers. None of them contains credentials. */
export interface PlayerUrls {
  /** A page with a player. The WHEP endpoint for a player of your own is this URL and `/whep`. */
  readonly webrtc: string
  /** A page with a player. The playlist for a player of your own is this URL and `/index.m3u8`. */
  readonly hls: string
  /** The stream for VLC, ffplay or a recorder. */
  readonly rtsp: string
}

/** What {@link playerUrls} reads of `settings.mediaServer`. */
export type ViewerAddresses = Pick<
  Settings["mediaServer"],
  "host" | "port" | "scheme" | "webrtcUrl" | "hlsUrl" | "rtspUrl"
>

/** MediaMTX's own ports, `webrtcAddress` and `hlsAddress` of its configuration. */
const defaultPort = { webrtc: 8889, hls: 8888 }

/**
 * The base URLs of the media server for viewers, without a trailing slash.
 *
 * A URL that is not set is made of the host to which restream publishes, and the port of MediaMTX.
 */
export const viewerUrls = (server: ViewerAddresses): PlayerUrls => {
  // RFC 6874: the zone of an IPv6 address follows an encoded percent sign
  const host = bracketed(server.host).replace("%", "%25")
  return {
    webrtc: server.webrtcUrl ?? `http://${host}:${defaultPort.webrtc}`,
    hls: server.hlsUrl ?? `http://${host}:${defaultPort.hls}`,
    rtsp: server.rtspUrl ?? `${server.scheme}://${host}:${server.port}`
  }
}

/** The addresses at which viewers watch a camera; needs its path and `settings.mediaServer`, and connects to nothing. */
export const playerUrls = (
  camera: { readonly path: Camera["path"] | string },
  server: ViewerAddresses
): PlayerUrls => {
  const path = camera.path.split("/").map(PercentEncoding.encode).join("/")
  const { hls, rtsp, webrtc } = viewerUrls(server)
  return { webrtc: `${webrtc}/${path}`, hls: `${hls}/${path}`, rtsp: `${rtsp}/${path}` }
}
