/**
 * Requests the URL of a stream from an ONVIF device.
 *
 * The requests carry a digest of the password that is valid for a moment of the device's clock, so the time of the
 * device is requested first. A device that prefers HTTP Digest responds with 401. The password is tried once.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"
import { oneLine, redact } from "@restream/config"
import { OnvifError, type ProbeReason, Unauthorized } from "../camera/Reason.ts"
import { StreamUrl } from "../camera/StreamUrl.ts"
import { ProbeError } from "../engine/CameraStream.ts"
import { Authenticator } from "../rtsp/client/Authenticator.ts"
import type { Trust } from "../rtsp/client/Dialer.ts"
import * as Deadline from "../time/Deadline.ts"
import { post } from "./HttpPost.ts"
import * as Profile from "./Profile.ts"
import * as Soap from "./Soap.ts"
import * as Xml from "./Xml.ts"

export interface AskOptions {
  /** For all requests together. */
  readonly timeout: Duration.Input
  /** Which certificates are trusted for `onvifs`. */
  readonly trust: Trust
}

const deviceNamespace = "http://www.onvif.org/ver10/device/wsdl"
const mediaNamespace = "http://www.onvif.org/ver10/media/wsdl"
const media2Namespace = "http://www.onvif.org/ver20/media/wsdl"
const schemaNamespace = "http://www.onvif.org/ver10/schema"

const fail = (reason: ProbeReason) => Effect.fail(new ProbeError({ reason }))

/** A difference of the clocks that is reported to the operator. */
const notableSkewMs = 5_000

class Device {
  readonly #url: StreamUrl
  readonly #trust: Trust
  readonly #deadline: Deadline.Deadline
  readonly #authenticator: Authenticator
  #usesHttpDigest = false
  /** The device's clock minus restream's; `null` if the device gives no time. */
  #skewMs: number | null = null

  constructor(url: StreamUrl, trust: Trust, deadline: Deadline.Deadline) {
    this.#url = url
    this.#trust = trust
    this.#deadline = deadline
    const requires = "Basic authentication without TLS"
    this.#authenticator = new Authenticator(
      url.credentials,
      url.secrets,
      url.scheme === "onvifs"
        ? undefined
        : new Unauthorized({ credentials: "unsupported", requires })
    )
  }

  get #token(): Effect.Effect<Soap.Token | undefined> {
    const { credentials } = this.#url
    return Effect.map(Clock.currentTimeMillis, (now) =>
      credentials === undefined || this.#usesHttpDigest
        ? undefined
        : {
            credentials,
            nonce: randomBytes(16),
            createdAt: new Date(now + (this.#skewMs ?? 0))
          }
    )
  }

  /** Adds the difference of the clocks to a refusal. */
  #refusal(reason: ProbeReason): ProbeReason {
    const skewMs = this.#skewMs
    const isNotable = skewMs === null || Math.abs(skewMs) >= notableSkewMs
    return reason._tag === "Unauthorized" && reason.credentials === "wrong" && isNotable
      ? new Unauthorized({ credentials: "wrong", clockSkewMs: skewMs })
      : reason
  }

  /** Sends one request. @param operation the name of its element. */
  #post(path: string, namespace: string, operation: string, content: string, token?: Soap.Token) {
    const authorization = this.#authenticator.authorize("POST", path)
    return post({
      endpoint: {
        host: this.#url.host,
        port: this.#url.effectivePort,
        tls: this.#url.scheme === "onvifs" ? this.#trust : undefined
      },
      deadline: this.#deadline,
      path,
      operation,
      headers: {
        "Content-Type": `application/soap+xml; charset=utf-8; action="${namespace}/${operation}"`,
        ...(authorization !== undefined && { Authorization: authorization })
      },
      body: Soap.envelope(`<${operation} xmlns="${namespace}">${content}</${operation}>`, token)
    }).pipe(
      Effect.mapError(({ reason }) => new ProbeError({ reason })),
      Effect.map((response) => ({
        response,
        isAnswered: authorization !== undefined,
        reply: Soap.read(Buffer.from(response.body).toString("utf8"))
      }))
    )
  }

  /** Calls an operation with the credentials; responds once to a challenge of HTTP Digest. */
  call(
    path: string,
    namespace: string,
    operation: string,
    content = ""
  ): Effect.Effect<Xml.XmlElement, ProbeError> {
    return Effect.gen({ self: this }, function* () {
      const token = yield* this.#token
      const { isAnswered, reply, response } = yield* this.#post(
        path,
        namespace,
        operation,
        content,
        token
      )
      if (reply._tag === "Response") {
        if (isAnswered) this.#authenticator.onAccepted()
        return reply.element
      }
      const { credentials } = this.#url
      if (response.status === 401) {
        const reason = this.#authenticator.onRefused(response, isAnswered)
        if (reason !== undefined) return yield* fail(this.#refusal(reason))
        this.#usesHttpDigest = true
        return yield* this.call(path, namespace, operation, content)
      }
      if (reply._tag === "Fault" && Soap.isRefusal(reply)) {
        const kind = credentials === undefined ? "missing" : "wrong"
        return yield* fail(this.#refusal(new Unauthorized({ credentials: kind })))
      }
      if (reply._tag === "Fault") {
        const why = reply.reason === "" ? reply.codes.join(" ") : reply.reason
        const detail = `${operation} failed: ${oneLine(redact(why.replaceAll(/\s+/g, " "), this.#url.secrets)).slice(0, 200)}`
        return yield* fail(new OnvifError({ problem: "Fault", detail }))
      }
      const detail = `no ONVIF service at ${this.#url.authority} (HTTP status ${response.status})`
      return yield* fail(new OnvifError({ problem: "NoService", detail }))
    })
  }

  /** Reads the time of the device. ONVIF requires a response without credentials; some devices give none. */
  readonly readClock: Effect.Effect<void, ProbeError> = Effect.suspend(() =>
    this.#post(devicePath, deviceNamespace, "GetSystemDateAndTime", "")
  ).pipe(
    Effect.flatMap(({ reply }) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        if (reply._tag !== "Response") return
        const time = utcTimeOf(reply.element)
        if (time !== undefined) this.#skewMs = time - now
      })
    )
  )
}

const devicePath = "/onvif/device_service"

/** In milliseconds since 1970. */
const utcTimeOf = (response: Xml.XmlElement): number | undefined => {
  const utc = Xml.find(response, "SystemDateAndTime", "UTCDateTime")
  const part = (...path: ReadonlyArray<string>) => Number(Xml.text(utc, ...path) ?? Number.NaN)
  const time = Date.UTC(
    part("Date", "Year"),
    part("Date", "Month") - 1,
    part("Date", "Day"),
    part("Time", "Hour"),
    part("Time", "Minute"),
    part("Time", "Second")
  )
  return Number.isNaN(time) ? undefined : time
}

/** The path of a service. The host is ignored: it may be known to the device only. */
const pathOf = (address: string | undefined, otherwise: string): string =>
  address === undefined
    ? otherwise
    : (/^\w+:\/\/[^/?#]*(\/[^#\s]*)/.exec(address)?.[1] ?? otherwise)

/** The media service, preferably the first version, which most devices have. */
const mediaServiceOf = Effect.fnUntraced(function* (device: Device) {
  const services = yield* device
    .call(
      devicePath,
      deviceNamespace,
      "GetServices",
      "<IncludeCapability>false</IncludeCapability>"
    )
    .pipe(
      Effect.map((response) => Xml.children(response, "Service")),
      // the first ONVIF devices have GetCapabilities only
      Effect.catchIf(
        ({ reason }) => reason._tag === "OnvifError" && reason.problem === "Fault",
        () => Effect.succeed([])
      )
    )
  const addressOf = (namespace: string) =>
    Xml.text(
      services.find((service) => Xml.text(service, "Namespace") === namespace),
      "XAddr"
    )
  const media = addressOf(mediaNamespace)
  const media2 = addressOf(media2Namespace)
  if (media === undefined && media2 !== undefined) {
    return { version: 2, path: pathOf(media2, "/onvif/media2_service") } as const
  }
  if (media !== undefined) return { version: 1, path: pathOf(media, "") } as const
  const capabilities = yield* device.call(
    devicePath,
    deviceNamespace,
    "GetCapabilities",
    "<Category>Media</Category>"
  )
  const address = Xml.text(capabilities, "Capabilities", "Media", "XAddr")
  return { version: 1, path: pathOf(address, "/onvif/media_service") } as const
})

/** The query of an ONVIF address: `onvif://host/?stream=sub&channel=2&rtsp_port=8554`. */
const queryOf = (url: StreamUrl) => {
  const query = new URL(StreamUrl.reveal(url).replace(/^onvifs?:\/\/[^/?]*/i, "http://x"))
    .searchParams
  const number = (name: string) => Number(query.get(name) ?? Number.NaN) || undefined
  return {
    stream: query.get("stream") ?? "main",
    channel: number("channel"),
    rtspPort: number("rtsp_port")
  }
}

/**
 * The URL of the stream that an `onvif` or `onvifs` address asks for, with the host and the credentials of that
 * address.
 */
export const streamUrl = (
  url: StreamUrl,
  { timeout, trust }: AskOptions
): Effect.Effect<StreamUrl, ProbeError> =>
  Deadline.use(
    timeout,
    Effect.fnUntraced(function* (deadline) {
      const device = new Device(url, trust, deadline)
      yield* device.readClock
      const { path, version } = yield* mediaServiceOf(device)
      const { rtspPort, ...choice } = queryOf(url)
      const namespace = version === 1 ? mediaNamespace : media2Namespace
      const profiles = yield* device.call(
        path,
        namespace,
        "GetProfiles",
        version === 1 ? "" : "<Type>VideoSource</Type><Type>VideoEncoder</Type>"
      )
      const { token } = yield* Effect.mapError(
        Effect.fromResult(Profile.choose(Profile.profilesOf(profiles), choice)),
        (reason) => new ProbeError({ reason })
      )
      const profile = `<ProfileToken>${Xml.escape(token)}</ProfileToken>`
      const response = yield* device.call(
        path,
        namespace,
        "GetStreamUri",
        version === 1
          ? `<StreamSetup><Stream xmlns="${schemaNamespace}">RTP-Unicast</Stream><Transport xmlns="${schemaNamespace}"><Protocol>RTSP</Protocol></Transport></StreamSetup>${profile}`
          : `<Protocol>RTSP</Protocol>${profile}`
      )
      const uri = Xml.text(response, "MediaUri", "Uri") ?? Xml.text(response, "Uri") ?? ""
      return yield* Effect.mapError(
        Effect.fromResult(Profile.mend(uri, url, rtspPort)),
        (reason) => new ProbeError({ reason })
      )
    })
  )
