/** The response to `DESCRIBE`. */
import * as Result from "effect/Result"
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

/** The description of a path that always has one; `undefined` for other paths. */
export const alwaysDescribed = ({ alwaysAvailable }: Quirks): Sdp.SessionDescription | undefined =>
  alwaysAvailable === undefined ? undefined : Result.getOrUndefined(Sdp.parse(alwaysAvailable))

/** A description with the server's controls for the tracks. */
const withControls = (description: Sdp.SessionDescription): string =>
  Sdp.render({
    name: description.name,
    control: "*",
    medias: description.medias.map(({ direction, formats, kind, protocol }, track) => ({
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
  const description = stream?.description ?? alwaysDescribed(quirks)
  if (description === undefined) return { status: 404 }
  const sdp = withControls(description)
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
