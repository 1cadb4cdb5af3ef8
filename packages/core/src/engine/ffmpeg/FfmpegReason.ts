/** Makes a typed reason of how ffmpeg or ffprobe ended and what it said. */
import * as Reason from "../../camera/Reason.ts"
import { oneLine, redact } from "@restream/config"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import type { ExitStatus } from "../../process/Child.ts"
import * as FfmpegWords from "./FfmpegWords.ts"

/** How a program ended. */
export interface Ending {
  readonly status: ExitStatus
  /** What it said, line by line. It may hold secrets; the reasons don't. */
  readonly said: ReadonlyArray<string>
  /** From its start to its end, in milliseconds. */
  readonly lifeMs: number
  readonly camera: StreamUrl
  /** How long it had been told to wait for an answer, in milliseconds. */
  readonly ioTimeoutMs: number
}

/** How a relay ended. */
export interface RelayEnding extends Ending {
  readonly destination: StreamUrl
  /** Whether media ever went to the server. */
  readonly hadFlowed: boolean
  /** How long the media stood still before the end, in milliseconds. */
  readonly silentMs: number
}

/** The longest text from a program that goes into a reason. */
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

/** The last words of a program in one line, without the secrets of the addresses that it had. */
export const shownWords = (said: ReadonlyArray<string>, urls: ReadonlyArray<StreamUrl>): string =>
  shown(FfmpegWords.lastWords(said), urls)

const isTimeOut = (text: string) => /timed out/i.test(text)
const isUnreachable = (text: string) =>
  /No route to host|(?:Network|Host) is (?:unreachable|down)/i.test(text)
const isBroken = (text: string) =>
  /End of file|Connection reset|Broken pipe|Input\/output error|Connection aborted/i.test(text)

/** Where in the exchange with the camera the program was, as far as its words tell. */
export const phaseOf = (words: FfmpegWords.Words): Reason.Phase => {
  if (words.isDescribed || words.hasNoMedia) return "waiting for media"
  if (words.isConnected) return "requesting the stream"
  return words.isConnecting || words.isUnconnected ? "connecting" : "requesting the stream"
}

const timedOut = (ending: Ending, phase: Reason.Phase) =>
  new Reason.TimedOut({ phase, afterMs: Math.round(ending.ioTimeoutMs) })

/** Who gave up after the time that is allowed for an answer was waiting for one. */
const hasWaited = (ending: Ending) => ending.lifeMs >= ending.ioTimeoutMs * 0.95

/** What kept ffmpeg from starting in earnest; it words some of it as a fault of its output. */
const setupReason = (ending: Ending, words: FfmpegWords.Words): Reason.ProbeReason | undefined => {
  const urls = [ending.camera]
  if (words.lacks !== undefined) {
    return new Reason.LaunchFailed({
      detail: `this ffmpeg does not know ${shown(words.lacks, urls)}`
    })
  }
  if (words.certificate !== undefined && /certificate|verif/i.test(words.certificate)) {
    return new Reason.CertificateError({ detail: shown(words.certificate, urls) })
  }
  if (words.hasNoVideo) return new Reason.NoVideo({})
  if (words.hasNoMedia) {
    return hasWaited(ending)
      ? timedOut(ending, "waiting for media")
      : new Reason.Closed({ phase: "waiting for media" })
  }
  return undefined
}

/** What was wrong between ffmpeg and the camera; `undefined` where the words don't tell. */
const cameraReason = (ending: Ending, words: FfmpegWords.Words): Reason.ProbeReason | undefined => {
  if (words.fault === undefined) return undefined
  const { camera } = ending
  const { text } = words.fault
  const phase = phaseOf(words)
  if (words.unknownHost !== undefined) return new Reason.DnsError({ host: camera.host })
  if (words.status !== undefined) return statusReason(camera, words.status)
  if (/Connection refused/i.test(text)) {
    return new Reason.Refused({ authority: camera.authority })
  }
  if (isUnreachable(text)) return new Reason.HostUnreachable({ authority: camera.authority })
  if (isTimeOut(text)) return timedOut(ending, words.isUnconnected ? "connecting" : phase)
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
    if (words.isGarbled) return new Reason.ProtocolError({ detail: "it does not answer in RTSP" })
    if (!camera.scheme.startsWith("rtsp")) {
      return new Reason.ProtocolError({ detail: "it holds no media that ffmpeg knows" })
    }
    // ffmpeg calls it so whatever cuts an RTSP exchange short; before 8 only the time tells them apart
    const waitedInVain =
      words.readFailure === undefined ? hasWaited(ending) : isTimeOut(words.readFailure)
    return waitedInVain ? timedOut(ending, phase) : new Reason.Closed({ phase })
  }
  if (isBroken(text)) return new Reason.Closed({ phase })
  return undefined
}

const statusReason = (
  camera: StreamUrl,
  { code, text }: NonNullable<FfmpegWords.Words["status"]>
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

/** What was wrong between ffmpeg and the media server; `undefined` where the words don't tell. */
const serverReason = (
  ending: RelayEnding,
  words: FfmpegWords.Words
): Reason.RelayReason | undefined => {
  if (words.fault === undefined) return undefined
  const { text } = words.fault
  const gone = (detail: string) => new Reason.ServerGone({ detail })
  const { authority, host } = ending.destination
  if (words.unknownHost !== undefined) return gone(`cannot resolve host "${host}"`)
  if (words.status !== undefined) {
    return words.status.code === 401
      ? new Reason.ServerUnauthorized({})
      : new Reason.ServerRejected({
          status: words.status.code,
          detail: shown(words.status.text, [ending.camera, ending.destination])
        })
  }
  if (/Connection refused/i.test(text)) return gone(`connection refused by ${authority}`)
  if (isUnreachable(text)) return gone(`no route to ${authority}`)
  if (isTimeOut(text)) return gone(`${authority} did not answer`)
  if (/Invalid data found/.test(text)) return gone(`${authority} broke off while we published`)
  if (isBroken(text)) return gone(`${authority} closed the connection`)
  return undefined
}

/** Why a probe failed. `undefined`: the words don't tell. */
export const probeReason = (
  ending: Ending,
  words: FfmpegWords.Words
): Reason.ProbeReason | undefined => setupReason(ending, words) ?? cameraReason(ending, words)

/** Why a relay ended that nobody had asked to. */
export const relayReason = (ending: RelayEnding): Reason.RelayReason => {
  const { camera, destination, hadFlowed, ioTimeoutMs, said, silentMs, status } = ending
  const words = FfmpegWords.read(said, {
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
    setupReason(ending, words) ??
    (words.fault?.side === "output" ? serverReason(ending, words) : cameraReason(ending, words))
  // a camera that sent and then fell silent or left is not one that did not answer
  if (hadFlowed && reason?._tag === "TimedOut") return stalled()
  if (hadFlowed && reason?._tag === "Closed") return closed()
  if (reason !== undefined) return reason
  // ffmpeg takes the end of the camera's stream for a good end, before 5 its silence, too
  if (status === 0 && words.fault === undefined) {
    return hadFlowed && silentMs >= ioTimeoutMs ? stalled() : closed()
  }
  return new Reason.Exited({
    status,
    lastWords: shownWords(said, [camera, destination])
  })
}
