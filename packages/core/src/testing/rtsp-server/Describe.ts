/** The response to `DESCRIBE`. */
import { header, type Request } from "../../rtsp/message/Message.ts"
import * as Sdp from "../../rtsp/sdp/Sdp.ts"
import type { ServerResponse } from "./ServerResponse.ts"
import type { ServerStream } from "./ServerStream.ts"
import type { ContentBaseQuirk, Quirks } from "./Quirks.ts"

const contentBase = (uri: string, quirk: ContentBaseQuirk | undefined): string | undefined => {
  const path = uri.replace(/^[a-z]+:\/\/[^/?]*/i, "")
  const place = uri.replace(/^[a-z]+:\/\//i, "")
  switch (quirk) {
    case undefined:
      return `${uri}/`
    case "missing":
      return undefined
    case "pathOnly":
      return `${path}/`
    case "withoutScheme":
      return `${place}/`
    case "doubled":
      return `rtsp://rtsp://${place}/`
    case "wrongHost":
      return `rtsp://192.168.1.64:554${path}/`
    default:
      return quirk.text
  }
}

/** A publisher's description with the server's controls for the tracks. */
const describeStream = (stream: ServerStream): string =>
  Sdp.render({
    name: stream.description.name,
    control: "*",
    medias: stream.description.medias.map(({ direction, formats, kind, protocol }, track) => ({
      kind,
      protocol,
      formats,
      direction,
      control: `trackID=${track}`
    }))
  })

export const describe = (
  request: Request,
  stream: ServerStream | undefined,
  quirks: Quirks
): ServerResponse => {
  if (quirks.redirect !== undefined) {
    return { status: 302, headers: [["Location", quirks.redirect]] }
  }
  if (quirks.requiresUserAgent === true && header(request, "user-agent") === undefined) {
    return { status: 400 }
  }
  if (stream === undefined) return { status: 404 }
  const sdp = describeStream(stream)
  const headers: Array<readonly [string, string]> = []
  if (quirks.contentType !== "missing") {
    headers.push([
      "Content-Type",
      quirks.contentType === "withCharset" ? "application/sdp; charset=utf-8" : "application/sdp"
    ])
  }
  const base = contentBase(request.uri, quirks.contentBase)
  if (base !== undefined) headers.push(["Content-Base", base])
  return { status: 200, headers, body: quirks.sdp === undefined ? sdp : quirks.sdp(sdp) }
}
