/** The output of `restream check`. */
import { oneLine } from "@restream/config"
import {
  browserProblems,
  type Camera,
  type CameraId,
  type CameraRow,
  CameraState,
  Check,
  type InvalidCamera,
  nameFirst,
  playerUrls,
  type ViewerAddresses
} from "@restream/core"
import * as Duration from "effect/Duration"
import { colored } from "../text/Color.ts"
import { table, widthsOf } from "../text/Table.ts"

type Result = Check.CheckResult | Check.ProbeOutcome

export const hasFailed = (result: Result): boolean =>
  result._tag === "Unreachable" || result._tag === "Invalid"

/** The tracks that the camera sends, if known. */
const offerOf = (result: Result) =>
  result._tag === "Answered" || result._tag === "Relayed" ? result.offer : undefined

/** The results in the order of the cameras. */
export const inOrder = (
  cameras: ReadonlyArray<Camera | InvalidCamera>,
  results: ReadonlyArray<Check.CheckResult>
): ReadonlyArray<Check.CheckResult> => {
  const byId = new Map(results.map((result) => [result.camera.id, result]))
  return cameras.flatMap(({ id }) => byId.get(id) ?? [])
}

const stateOf = (result: Result): string => {
  switch (result._tag) {
    case "Answered":
      return "ok"
    case "Relayed":
      return "live"
    case "Unreachable":
      return "unreachable"
    case "Invalid":
      return "invalid"
  }
}

/** For a camera with several addresses: the address that answered, and the number of failed addresses. */
const addressRemarks = (result: Check.CheckResult): ReadonlyArray<string> => {
  const failed = result.addresses.filter(hasFailed).length
  if (failed === 0) return []
  const used = result.addresses.findIndex((address) => !hasFailed(address))
  return [
    ...(used > 0 ? [`at address ${used + 1}`] : []),
    `${failed} of ${result.addresses.length} addresses failed`
  ]
}

/** The reason of the failure, or remarks about a camera of fair health. */
const reasonOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return [
        ...(result.offer.audio?.copyable === false ? ["audio codec requires transcoding"] : []),
        ...(Duration.isGreaterThan(result.took, Check.slow) ? ["slow to respond"] : []),
        ...addressRemarks(result)
      ].join("; ")
    case "Relayed":
      return "already relayed; not probed"
    case "Unreachable":
      return result.reason.message
    case "Invalid":
      return result.problem
  }
}

const seconds = (duration: Duration.Duration): string =>
  `${(Duration.toMillis(duration) / 1000).toFixed(2)} s`

type ProbeReasonTag = Extract<Check.CheckResult, { readonly _tag: "Unreachable" }>["reason"]["_tag"]

/** The reasons by kind, for the summary: one kind per remedy. */
const kinds: Record<ProbeReasonTag | "Invalid", string> = {
  Refused: "connection refused",
  DnsError: "unknown host",
  HostUnreachable: "no route to host",
  TimedOut: "timed out",
  Closed: "connection closed",
  Unauthorized: "authentication failed",
  RedirectRefused: "refused redirect",
  NotFound: "stream not found",
  Rejected: "rejected by the camera",
  DeviceFull: "device full",
  OnvifError: "no stream by ONVIF",
  NoVideo: "no video",
  ProtocolError: "not valid RTSP",
  Unsupported: "not supported",
  CertificateError: "untrusted certificate",
  LaunchFailed: "cannot start ffmpeg",
  InvalidUrl: "invalid URL",
  Invalid: "invalid row"
}

const plurals: Readonly<Record<string, string>> = {
  "invalid row": "invalid rows",
  "invalid URL": "invalid URLs",
  "unknown host": "unknown hosts"
}

const kindOf = (result: Check.CheckResult): keyof typeof kinds | undefined =>
  result._tag === "Unreachable"
    ? result.reason._tag
    : result._tag === "Invalid"
      ? "Invalid"
      : undefined

/** The number of failed cameras by reason, the most frequent first. */
const failuresByKind = (results: ReadonlyArray<Check.CheckResult>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const result of results) {
    const kind = kindOf(result)
    if (kind !== undefined) counts.set(kinds[kind], (counts.get(kinds[kind]) ?? 0) + 1)
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a))
}

/** Failed cameras last, grouped by reason, because a terminal shows the end. */
const failedLast = (
  results: ReadonlyArray<Check.CheckResult>
): ReadonlyArray<Check.CheckResult> => {
  const order = [...failuresByKind(results).keys()]
  const rank = (result: Check.CheckResult) => {
    const kind = kindOf(result)
    return kind === undefined ? -1 : order.indexOf(kinds[kind])
  }
  return results.toSorted((a, b) => rank(a) - rank(b))
}

const columns: ReadonlyArray<
  readonly [heading: string, cell: (result: Check.CheckResult) => string]
> = [
  ["ID", ({ camera }) => camera.id],
  ["CAMERA", ({ camera }) => camera.name],
  ["TYPE", ({ camera }) => camera.type],
  ["STATE", stateOf],
  ["HEALTH", ({ health }) => health],
  [
    "VIDEO",
    (result) => {
      const offer = offerOf(result)
      return offer === undefined ? "" : CameraState.describeVideo(offer.video)
    }
  ],
  [
    "AUDIO",
    (result) => {
      const offer = offerOf(result)
      return offer === undefined ? "" : (offer.audio?.codec ?? "none")
    }
  ],
  [
    "TIME",
    (result) => (result._tag === "Invalid" || result._tag === "Relayed" ? "" : seconds(result.took))
  ],
  ["REASON", reasonOf]
]

/** The addresses of a camera besides the one in its row, as rows below it. */
const otherAddresses = (result: Check.CheckResult): ReadonlyArray<Check.CheckResult> =>
  result.addresses.flatMap((address, index) => {
    const name = `  address ${index + 1}: ${address.camera.url.authority}`
    const camera = { ...address.camera, id: "" as CameraId, type: "", name }
    return address.camera === result.camera ? [] : [{ ...address, camera, addresses: [] }]
  })

/** The columns that a narrow terminal omits, the least useful first. */
const optionalColumns = ["HEALTH", "TYPE", "TIME", "AUDIO", "VIDEO", "STATE"]

/** The width of the reason for which other columns are omitted. */
const reasonWidth = 40

/**
 * The table for people. The reason is in the last column, and failed cameras are at the end.
 *
 * @param width the width of the terminal. Default: no column is omitted.
 * @param hasColor whether states are colored. Default: no.
 */
export const checkTable = (
  results: ReadonlyArray<Check.CheckResult>,
  width = Number.POSITIVE_INFINITY,
  hasColor = false
): string => {
  const sorted = failedLast(results)
  const rowsOf = (shown: typeof columns) => [
    shown.map(([heading]) => heading),
    ...sorted
      .flatMap((result) => [result, ...otherAddresses(result)])
      .map((result) =>
        shown.map(([heading, cell]) =>
          heading === "STATE" ? colored(cell(result), hasColor) : cell(result)
        )
      )
  ]
  const fits = (shown: typeof columns): boolean => {
    const widths = widthsOf(rowsOf(shown)).map((one) => Math.min(one, maxCellWidth))
    const reason = Math.min(widths.at(-1) ?? 0, reasonWidth)
    return widths.slice(0, -1).reduce((sum, one) => sum + one + 2, reason) <= width
  }
  let shown = columns
  for (const name of optionalColumns) {
    if (fits(shown)) break
    shown = shown.filter(([heading]) => heading !== name)
  }
  return table(rowsOf(shown), { maxCellWidth, width })
}

const maxCellWidth = 32

/** The summary for people: the failures by reason, and the totals. */
export const checkSummary = (
  results: ReadonlyArray<Check.CheckResult>,
  took: Duration.Duration,
  disabled: number,
  /** The name of the list of cameras. */
  list: string
): ReadonlyArray<string> => {
  const off = disabled === 0 ? "" : `, ${disabled} disabled`
  if (results.length === 0) return [`no enabled cameras in ${list}${off}`]
  const kinds = [...failuresByKind(results)].map(
    ([kind, count]) => `${count} ${count === 1 ? kind : (plurals[kind] ?? kind)}`
  )
  const failed = results.filter(hasFailed).length
  const cameras = `${results.length} camera${results.length === 1 ? "" : "s"}`
  const time = (Duration.toMillis(took) / 1000).toFixed(1)
  return [
    ...(kinds.length === 0 ? [] : [`${failed} failed: ${kinds.join(", ")}`]),
    `${cameras}: ${results.length - failed} ok, ${failed} failed${off}, in ${time} s`
  ]
}

/** The tracks that browsers cannot play, one line for all cameras with the same problem. */
export const checkWarnings = (results: ReadonlyArray<Check.CheckResult>): ReadonlyArray<string> => {
  const byProblem = new Map<string, Array<string>>()
  for (const result of results) {
    const offer = offerOf(result)
    for (const problem of offer === undefined ? [] : browserProblems(offer)) {
      const cameras = byProblem.get(problem) ?? []
      cameras.push(result.camera.id)
      byProblem.set(problem, cameras)
    }
  }
  return [...byProblem].map(([problem, cameras]) => `warning: ${problem} (${named(cameras)})`)
}

const named = (cameras: ReadonlyArray<string>): string =>
  `camera${cameras.length === 1 ? "" : "s"} ${nameFirst(cameras)}`

/**
 * The cameras that rely on the native engine because ffmpeg is not installed; `undefined` if there are none. Only
 * SETUP shows that a camera supports UDP only, and a probe ends before SETUP.
 */
export const fallbackWarning = (
  results: ReadonlyArray<Check.CheckResult>,
  hasFfmpeg: boolean
): string | undefined => {
  const cameras = results.flatMap((result) =>
    result._tag === "Answered" &&
    result.engine === "native" &&
    result.camera.options.engine === "auto"
      ? [result.camera.id]
      : []
  )
  return hasFfmpeg || cameras.length === 0
    ? undefined
    : `warning: ffmpeg was not found (ffmpeg.path, ffmpeg.ffprobePath): a camera that sends only by UDP passes this check and cannot be relayed; camera.engine: native accepts that (${named(cameras)})`
}

/** The unchanged names of the rows, by the camera's id. The names of cameras are on one line. */
export const namesInRows = (rows: ReadonlyArray<CameraRow>): ReadonlyMap<string, string> =>
  new Map(
    rows.flatMap(({ id, name }) =>
      typeof name === "string" && name !== "" ? [[oneLine(String(id)), name] as const] : []
    )
  )

/** The JSON document. */
export const checkJson = (
  results: ReadonlyArray<Check.CheckResult>,
  options: {
    /** From the start of the first probe to the end of the last. */
    readonly took: Duration.Duration
    readonly disabled: number
    readonly names: ReadonlyMap<string, string>
    /** Where viewers reach the media server of a camera. */
    readonly viewersOf: (camera: Camera) => ViewerAddresses
    /** The problems of the media servers. */
    readonly serverProblems: ReadonlyArray<string>
    /** Selects the listed cameras. All cameras are counted. */
    readonly isListed: (result: Check.CheckResult) => boolean
  }
) => ({
  total: results.length,
  ok: results.filter((result) => !hasFailed(result)).length,
  wrong: results.filter(hasFailed).length,
  disabled: options.disabled,
  tookMs: Math.round(Duration.toMillis(options.took) * 10) / 10,
  mediaServer: { problems: options.serverProblems },
  cameras: results.filter(options.isListed).map((result) => {
    const offer = offerOf(result)
    return {
      id: result.camera.id,
      name: options.names.get(result.camera.id) ?? result.camera.name,
      type: result.camera.type,
      address: result.camera._tag === "Camera" ? String(result.camera.url) : null,
      path: result.camera._tag === "Camera" ? result.camera.path : null,
      ...(result.camera._tag === "Camera" &&
        result.camera.mediaServer !== undefined && {
          mediaServerName: result.camera.mediaServer.name
        }),
      playerUrls:
        result.camera._tag === "Camera"
          ? playerUrls(result.camera, options.viewersOf(result.camera))
          : null,
      state: stateOf(result),
      health: result.health,
      engine: result._tag === "Answered" ? result.engine : null,
      video: offer?.video ?? null,
      audio: offer?.audio ?? null,
      warnings: offer === undefined ? [] : browserProblems(offer),
      tookMs: Math.round(Duration.toMillis(result.took)),
      reason: reasonJson(result),
      addresses: result.addresses.map((address) => ({
        address: String(address.camera.url),
        state: stateOf(address),
        tookMs: Math.round(Duration.toMillis(address.took)),
        reason: reasonJson(address)
      }))
    }
  })
})

const reasonJson = (result: Result) =>
  result._tag === "Unreachable"
    ? { code: result.reason._tag, message: result.reason.message }
    : result._tag === "Invalid"
      ? { code: "Invalid", message: result.problem }
      : null

/** The document as text. Control characters that JSON does not escape become escapes. */
export const jsonText = (document: unknown): string =>
  JSON.stringify(document, undefined, 2).replaceAll(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )
