/** The typed reason for the end of ffmpeg or ffprobe, from its exit status and standard error. */
import * as Reason from "../../camera/Reason.ts"
import { oneLine, redact } from "@restream/config"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { ExitStatus } from "../../process/Child.ts"
import * as FfmpegStderr from "./FfmpegStderr.ts"

/** How a program ended. */
export interface ProcessEnd {
  readonly status: ExitStatus
  /** Its standard error, line by line. It may contain secrets; the reasons do not. */
  readonly lines: ReadonlyArray<string>
  /** From its start to its end, in milliseconds. */
  readonly lifeMs: number
  readonly camera: StreamUrl
  /** The I/O timeout among its arguments, in milliseconds. */
  readonly ioTimeoutMs: number
}

/** How a relay ended. */
export interface RelayProcessEnd extends ProcessEnd {
  readonly destination: StreamUrl
  /** Whether media reached the server. */
  readonly hadFlowed: boolean
  /** How long no media advanced before the end, in milliseconds. */
  readonly silentMs: number
}

/** The longest text from a program in a reason. */
const longestDetail = 300

const shown = (text: string, urls: ReadonlyArray<StreamUrl>): string => {
  const clean = oneLine(
    redact(
      text,
      urls.flatMap((url) => url.secrets)
    )
  )
  return clean.length <= longestDetail ? clean : `${clean.slice(0, longestDetail)}…`
}

/** The last messages of a program in one line, without the secrets of its addresses. */
export const lastMessages = (
  lines: ReadonlyArray<string>,
  urls: ReadonlyArray<StreamUrl>
): string => shown(FfmpegStderr.lastWords(lines), urls)

const isTimeOut = (text: string) => /timed out/i.test(text)
const isUnreachable = (text: string) =>
  /No route to host|(?:Network|Host) is (?:unreachable|down)/i.test(text)
const isBroken = (text: string) =>
  /End of file|Connection reset|Broken pipe|Input\/output error|Connection aborted/i.test(text)

/** The phase of the exchange with the camera, by the standard error. */
export const phaseOf = (stderr: FfmpegStderr.Parsed): Reason.Phase => {
  if (stderr.isDescribed || stderr.hasNoMedia) return "waiting for media"
  if (stderr.isConnected) return "requesting the stream"
  return stderr.isConnecting || stderr.isUnconnected ? "connecting" : "requesting the stream"
}

const timedOut = (end: ProcessEnd, phase: Reason.Phase) =>
  new Reason.TimedOut({ phase, afterMs: Math.round(end.ioTimeoutMs) })

/** Whether the program ran as long as its I/O timeout, which means that it waited for a response. */
const hasWaited = (end: ProcessEnd) => end.lifeMs >= end.ioTimeoutMs * 0.95

/** What prevented ffmpeg from starting; it reports some of it as a failure of its output. */
const setupReason = (
  end: ProcessEnd,
  stderr: FfmpegStderr.Parsed
): Reason.ProbeReason | undefined => {
  const urls = [end.camera]
  if (stderr.missingFeature !== undefined) {
    return new Reason.LaunchFailed({
      detail: `this ffmpeg does not support ${shown(stderr.missingFeature, urls)}`
    })
  }
  if (stderr.certificate !== undefined && /certificate|verif/i.test(stderr.certificate)) {
    return new Reason.CertificateError({ detail: shown(stderr.certificate, urls) })
  }
  if (stderr.hasNoVideo) return new Reason.NoVideo({})
  if (stderr.hasNoMedia) {
    return hasWaited(end)
      ? timedOut(end, "waiting for media")
      : new Reason.Closed({ phase: "waiting for media" })
  }
  return undefined
}

/** What failed between ffmpeg and the camera; `undefined` if the standard error has no known message. */
const cameraReason = (
  end: ProcessEnd,
  stderr: FfmpegStderr.Parsed
): Reason.ProbeReason | undefined => {
  if (stderr.failure === undefined) return undefined
  const { camera } = end
  const { text } = stderr.failure
  const phase = phaseOf(stderr)
  if (stderr.unknownHost !== undefined) {
    return new Reason.DnsError({ host: camera.host, why: stderr.unknownHost })
  }
  if (stderr.status !== undefined) return statusReason(camera, stderr.status)
  if (/Connection refused/i.test(text)) {
    return new Reason.Refused({ authority: camera.authority })
  }
  if (isUnreachable(text)) return new Reason.HostUnreachable({ authority: camera.authority })
  if (isTimeOut(text)) return timedOut(end, stderr.isUnconnected ? "connecting" : phase)
  if (/Protocol not found/i.test(text)) {
    return new Reason.Unsupported({ what: `${camera.scheme}:// by this ffmpeg` })
  }
  if (text.startsWith("Server returned")) {
    return new Reason.Rejected({
      status: text.includes("5XX") ? 500 : 400,
      detail: shown(text, [camera])
    })
  }
  if (/Invalid data found/.test(text)) {
    if (stderr.isGarbled) return new Reason.ProtocolError({ detail: "the responses are not RTSP" })
    if (!camera.scheme.startsWith("rtsp")) {
      return new Reason.ProtocolError({ detail: "ffmpeg does not recognize the media" })
    }
    // ffmpeg uses this text for every interrupted RTSP exchange; before 8 only the elapsed time distinguishes them
    const hasTimedOut =
      stderr.readFailure === undefined ? hasWaited(end) : isTimeOut(stderr.readFailure)
    return hasTimedOut ? timedOut(end, phase) : new Reason.Closed({ phase })
  }
  if (isBroken(text)) return new Reason.Closed({ phase })
  return undefined
}

const statusReason = (
  camera: StreamUrl,
  { code, text }: NonNullable<FfmpegStderr.Parsed["status"]>
): Reason.ProbeReason => {
  switch (code) {
    case 401:
      return new Reason.Unauthorized({ credentials: camera.hasCredentials ? "wrong" : "missing" })
    case 404:
      return new Reason.NotFound({})
    case 461:
      return new Reason.Rejected({
        status: code,
        detail: `${shown(text, [camera])}; the option transport may help`
      })
    default:
      return new Reason.Rejected({ status: code, detail: shown(text, [camera]) })
  }
}

/** What failed between ffmpeg and the media server; `undefined` if the standard error has no known message. */
const serverReason = (
  end: RelayProcessEnd,
  stderr: FfmpegStderr.Parsed
): Reason.RelayReason | undefined => {
  if (stderr.failure === undefined) return undefined
  const { text } = stderr.failure
  const gone = (detail: string) => new Reason.ServerGone({ detail })
  const { authority, host } = end.destination
  if (stderr.unknownHost !== undefined) {
    return gone(new Reason.DnsError({ host, why: stderr.unknownHost }).message)
  }
  if (stderr.status !== undefined) {
    return stderr.status.code === 401
      ? new Reason.ServerUnauthorized({})
      : new Reason.ServerRejected({
          status: stderr.status.code,
          detail: shown(stderr.status.text, [end.camera, end.destination])
        })
  }
  if (/Connection refused/i.test(text)) return gone(`connection refused by ${authority}`)
  if (isUnreachable(text)) return gone(`no route to ${authority}`)
  if (isTimeOut(text)) return gone(`${authority} did not respond`)
  if (/Invalid data found/.test(text))
    return gone(`${authority} closed the connection while publishing`)
  if (isBroken(text)) return gone(`${authority} closed the connection`)
  return undefined
}

/** Why a probe failed; `undefined` if the standard error has no known message. */
export const probeReason = (
  end: ProcessEnd,
  stderr: FfmpegStderr.Parsed
): Reason.ProbeReason | undefined => setupReason(end, stderr) ?? cameraReason(end, stderr)

/** Why a relay ended without a request. */
export const relayReason = (end: RelayProcessEnd): Reason.RelayReason => {
  const { camera, destination, hadFlowed, ioTimeoutMs, lines, silentMs, status } = end
  const stderr = FfmpegStderr.parse(lines, {
    camera: StreamUrl.reveal(camera),
    destination: StreamUrl.reveal(destination)
  })
  const stalled = () =>
    new Reason.Stalled({
      side: "input",
      afterMs: Math.round(Math.max(silentMs, ioTimeoutMs))
    })
  const closed = () => new Reason.Closed({ phase: hadFlowed ? "streaming" : "waiting for media" })

  const reason =
    setupReason(end, stderr) ??
    (stderr.failure?.side === "output" ? serverReason(end, stderr) : cameraReason(end, stderr))
  // the camera did respond: it stopped sending, or closed the connection
  if (hadFlowed && reason?._tag === "TimedOut") return stalled()
  if (hadFlowed && reason?._tag === "Closed") return closed()
  if (reason !== undefined) return reason
  // ffmpeg treats the end of the camera's stream as success; before 5 also an I/O timeout
  if (status === 0 && stderr.failure === undefined) {
    return hadFlowed && silentMs >= ioTimeoutMs ? stalled() : closed()
  }
  return new Reason.Exited({
    status,
    lastWords: lastMessages(lines, [camera, destination])
  })
}
