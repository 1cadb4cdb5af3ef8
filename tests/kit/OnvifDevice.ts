/**
 * A stand-in for an ONVIF device over real HTTP. Its documents are those that go2rtc 1.9.14 and ipycam 1.3.0 sent
 * to this client, with the prefixes of Hikvision cameras; the check of the user name token is the rule of
 * WS-Security UsernameToken 1.0, written down a second time.
 */
import { Effect } from "effect"
import { createHash, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"

export interface OnvifProfile {
  readonly token: string
  readonly name: string
  readonly source?: string
  readonly encoding?: string
  readonly width?: number
  readonly height?: number
  readonly uri: string
}

export interface OnvifDeviceOptions {
  readonly profiles: ReadonlyArray<OnvifProfile>
  /** Default: none is required. */
  readonly credentials?: { readonly username: string; readonly password: string }
  /** How the credentials are taken. Default `token`. */
  readonly auth?: "token" | "http"
  /** The device's clock minus the real one. Default 0. */
  readonly skewMs?: number
  /** The services that it has. Default `media`; `capabilities` knows GetCapabilities only. */
  readonly services?: "media" | "media2" | "capabilities"
  /** Whether it asks for credentials before it tells its time. Default `false`. */
  readonly hidesClock?: boolean
  /** What it responds instead, for an operation. */
  readonly respond?: (operation: string) => { status: number; body: string } | "nothing" | undefined
}

export interface OnvifDevice {
  readonly port: number
  /** The operations in the order of the requests; with a `!` those that were refused. */
  readonly requests: ReadonlyArray<string>
  options: OnvifDeviceOptions
}

const envelope = (body: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" xmlns:tr2="http://www.onvif.org/ver20/media/wsdl"><env:Body>${body}</env:Body></env:Envelope>\n`

export const fault = (subcode: string, reason: string): string =>
  envelope(
    `<env:Fault xmlns:ter="http://www.onvif.org/ver10/error"><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>${subcode}</env:Value></env:Subcode></env:Code><env:Reason><env:Text xml:lang="en">${reason}</env:Text></env:Reason></env:Fault>`
  )

const dateAndTime = (now: Date): string =>
  `<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings><tt:UTCDateTime><tt:Time><tt:Hour>${now.getUTCHours()}</tt:Hour><tt:Minute>${now.getUTCMinutes()}</tt:Minute><tt:Second>${now.getUTCSeconds()}</tt:Second></tt:Time><tt:Date><tt:Year>${now.getUTCFullYear()}</tt:Year><tt:Month>${now.getUTCMonth() + 1}</tt:Month><tt:Day>${now.getUTCDate()}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>`

const service = (namespace: string, path: string): string =>
  `<tds:Service><tds:Namespace>http://www.onvif.org/${namespace}/wsdl</tds:Namespace><tds:XAddr>http://192.168.1.64${path}</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>5</tt:Minor></tds:Version></tds:Service>`

const profile1 = ({
  encoding = "H264",
  height = 0,
  name,
  source,
  token,
  width = 0
}: OnvifProfile) =>
  `<trt:Profiles token="${token}" fixed="true"><tt:Name>${name}</tt:Name>${source === undefined ? "" : `<tt:VideoSourceConfiguration token="vsc"><tt:SourceToken>${source}</tt:SourceToken></tt:VideoSourceConfiguration>`}<tt:VideoEncoderConfiguration token="vec"><tt:Encoding>${encoding}</tt:Encoding><tt:Resolution><tt:Width>${width}</tt:Width><tt:Height>${height}</tt:Height></tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>`

const profile2 = ({
  encoding = "H264",
  height = 0,
  name,
  source,
  token,
  width = 0
}: OnvifProfile) =>
  `<tr2:Profiles token="${token}"><tr2:Name>${name}</tr2:Name><tr2:Configurations><tr2:VideoSource token="vsc"><tt:SourceToken>${source ?? "vs"}</tt:SourceToken></tr2:VideoSource><tr2:VideoEncoder token="vec"><tt:Encoding>${encoding}</tt:Encoding><tt:Resolution><tt:Width>${width}</tt:Width><tt:Height>${height}</tt:Height></tt:Resolution></tr2:VideoEncoder></tr2:Configurations></tr2:Profiles>`

/** Whether the token proves the password, at the device's time. */
const isProven = (body: string, { credentials, skewMs = 0 }: OnvifDeviceOptions): boolean => {
  const field = (name: string) =>
    new RegExp(`<(?:\\w+:)?${name}(?: [^>]*)?>([^<]*)<`).exec(body)?.[1] ?? ""
  const unescape = (text: string) =>
    text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
  const created = field("Created")
  const age = Math.abs(Date.now() + skewMs - Date.parse(created))
  const digest = createHash("sha1")
    .update(Buffer.from(field("Nonce"), "base64"))
    .update(`${created}${credentials?.password}`)
    .digest("base64")
  return (
    unescape(field("Username")) === credentials?.username &&
    field("Password") === digest &&
    age < 5000
  )
}

const md5 = (text: string) => createHash("md5").update(text).digest("hex")

const isDigestProven = (
  request: IncomingMessage,
  nonce: string,
  { credentials }: OnvifDeviceOptions
): boolean => {
  const header = request.headers.authorization ?? ""
  const field = (name: string) => new RegExp(`[ ,]${name}="?([^",]*)`).exec(header)?.[1] ?? ""
  const a1 = md5(`${credentials?.username}:onvif:${credentials?.password}`)
  const a2 = md5(`POST:${request.url}`)
  const wanted = md5(`${a1}:${nonce}:${field("nc")}:${field("cnonce")}:auth:${a2}`)
  return field("nonce") === nonce && field("response") === wanted
}

/** Listens on the loopback interface, for as long as the scope. */
export const make = (options: OnvifDeviceOptions) =>
  Effect.gen(function* () {
    const requests: Array<string> = []
    const nonce = randomBytes(8).toString("hex")
    const device: Omit<OnvifDevice, "port"> = { requests, options }
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8")
        const operation = /<(?:\w+:)?Body><(?:\w+:)?(\w+)/.exec(body)?.[1] ?? "?"
        const { options } = device
        const { auth = "token", credentials, hidesClock = false } = options
        const send = (status: number, text: string, headers: Record<string, string> = {}) =>
          response
            .writeHead(status, {
              "Content-Type": "application/soap+xml; charset=utf-8",
              ...headers
            })
            .end(text)
        const instead = options.respond?.(operation)
        const isOpen = operation === "GetSystemDateAndTime" && !hidesClock
        const isAllowed =
          credentials === undefined ||
          isOpen ||
          (auth === "token" ? isProven(body, options) : isDigestProven(request, nonce, options))
        requests.push(isAllowed ? operation : `${operation}!`)
        if (instead === "nothing") return
        if (instead !== undefined) return send(instead.status, instead.body)
        if (!isAllowed && auth === "http") {
          return send(401, "", {
            "WWW-Authenticate": `Digest realm="onvif", qop="auth", nonce="${nonce}"`
          })
        }
        if (!isAllowed) return send(400, fault("ter:NotAuthorized", "Sender not authorized"))
        return send(200, envelope(answer(operation, body, options)))
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    )
    return Object.assign(device, { port: (server.address() as AddressInfo).port })
  })

const answer = (operation: string, body: string, options: OnvifDeviceOptions): string => {
  const { profiles, services = "media", skewMs = 0 } = options
  const isMedia2 = services === "media2"
  const prefix = isMedia2 ? "tr2" : "trt"
  switch (operation) {
    case "GetSystemDateAndTime":
      return dateAndTime(new Date(Date.now() + skewMs))
    case "GetServices":
      return services === "capabilities"
        ? `<env:Fault><env:Code><env:Value>env:Receiver</env:Value><env:Subcode><env:Value>ter:ActionNotSupported</env:Value></env:Subcode></env:Code><env:Reason><env:Text>Optional Action Not Implemented</env:Text></env:Reason></env:Fault>`
        : `<tds:GetServicesResponse>${service("ver10/device", "/onvif/device_service")}${isMedia2 ? service("ver20/media", "/onvif/Media2") : service("ver10/media", "/onvif/Media")}</tds:GetServicesResponse>`
    case "GetCapabilities":
      return `<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media><tt:XAddr>http://192.168.1.64/onvif/Media</tt:XAddr></tt:Media></tds:Capabilities></tds:GetCapabilitiesResponse>`
    case "GetProfiles":
      return `<${prefix}:GetProfilesResponse>${profiles.map(isMedia2 ? profile2 : profile1).join("")}</${prefix}:GetProfilesResponse>`
    case "GetStreamUri": {
      const token = /<ProfileToken>([^<]*)</.exec(body)?.[1]
      const uri = profiles.find((profile) => profile.token === token)?.uri ?? ""
      const element = `${isMedia2 ? "tr2" : "tt"}:Uri`
      const text = `<${element}>${uri.replaceAll("&", "&amp;")}</${element}>`
      return `<${prefix}:GetStreamUriResponse>${isMedia2 ? text : `<trt:MediaUri>${text}</trt:MediaUri>`}</${prefix}:GetStreamUriResponse>`
    }
    default:
      return `<env:Fault><env:Reason><env:Text>unknown operation</env:Text></env:Reason></env:Fault>`
  }
}
