/** What `restream check` prints. */
import {
  type Camera,
  type CameraRow,
  CameraState,
  type Check,
  type InvalidCamera,
  Redaction
} from "@restream/core"
import * as Duration from "effect/Duration"
import { table, widthsOf } from "../text/Table.ts"

export const isWrong = (result: Check.CheckResult): boolean => result._tag !== "Answered"

/** The results in the order of the cameras, not of their answers. */
export const inOrder = (
  cameras: ReadonlyArray<Camera | InvalidCamera>,
  results: ReadonlyArray<Check.CheckResult>
): ReadonlyArray<Check.CheckResult> => {
  const byId = new Map(results.map((result) => [result.camera.id, result]))
  return cameras.flatMap(({ id }) => byId.get(id) ?? [])
}

const stateOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return "ok"
    case "Unreachable":
      return "unreachable"
    case "Invalid":
      return "invalid"
  }
}

/** What is wrong, or what an operator may want to know of a camera that is only fair. */
const reasonOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return result.offer.audio?.copyable === false
        ? "its sound can't be passed on as it is"
        : result.health === "fair"
          ? "it answers slowly"
          : ""
    case "Unreachable":
      return result.reason.message
    case "Invalid":
      return result.problem
  }
}

const seconds = (duration: Duration.Duration): string =>
  `${(Duration.toMillis(duration) / 1000).toFixed(2)} s`

type ProbeReasonTag = Extract<Check.CheckResult, { readonly _tag: "Unreachable" }>["reason"]["_tag"]

/** The reasons by what an installer does about them, in the words of a count. */
const kinds: Record<ProbeReasonTag | "Invalid", string> = {
  Refused: "connection refused",
  DnsError: "unknown host name",
  HostUnreachable: "no route",
  TimedOut: "no answer",
  Closed: "connection closed",
  Unauthorized: "wrong or missing password",
  NotFound: "no such stream",
  Rejected: "rejected by the camera",
  NoVideo: "no video",
  ProtocolError: "not valid RTSP",
  Unsupported: "not supported",
  CertificateError: "certificate not trusted",
  LaunchFailed: "cannot start",
  InvalidUrl: "wrong address",
  Invalid: "wrong row"
}

const kindOf = (result: Check.CheckResult): keyof typeof kinds | undefined =>
  result._tag === "Unreachable"
    ? result.reason._tag
    : result._tag === "Invalid"
      ? "Invalid"
      : undefined

/** How many cameras are wrong for each kind of reason, the most frequent first. */
export const wrongByKind = (
  results: ReadonlyArray<Check.CheckResult>
): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>()
  for (const result of results) {
    const kind = kindOf(result)
    if (kind !== undefined) counts.set(kinds[kind], (counts.get(kinds[kind]) ?? 0) + 1)
  }
  return new Map([...counts].sort(([, a], [, b]) => b - a))
}

/** Good cameras first, and below them the wrong ones by their reasons: the end is what a terminal shows. */
const wrongLast = (results: ReadonlyArray<Check.CheckResult>): ReadonlyArray<Check.CheckResult> => {
  const order = [...wrongByKind(results).keys()]
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
    (result) => (result._tag === "Answered" ? CameraState.describeVideo(result.offer.video) : "")
  ],
  ["AUDIO", (result) => (result._tag === "Answered" ? (result.offer.audio?.codec ?? "none") : "")],
  ["TIME", (result) => (result._tag === "Invalid" ? "" : seconds(result.took))],
  ["REASON", reasonOf]
]

/** What a terminal that is too narrow for all columns does without, the least useful first. */
const dispensable = ["HEALTH", "TYPE", "TIME", "AUDIO", "VIDEO", "STATE"]

/** How wide a reason may want to be before other columns make room for it. */
const reasonWidth = 40

/**
 * The table for people: what is wrong stands in the last column, and at the end.
 *
 * @param width the terminal's columns; without one nothing is left out.
 */
export const checkTable = (
  results: ReadonlyArray<Check.CheckResult>,
  width = Number.POSITIVE_INFINITY
): string => {
  const sorted = wrongLast(results)
  const rowsOf = (shown: typeof columns) => [
    shown.map(([heading]) => heading),
    ...sorted.map((result) => shown.map(([, cell]) => cell(result)))
  ]
  const fits = (shown: typeof columns): boolean => {
    const widths = widthsOf(rowsOf(shown)).map((one) => Math.min(one, widest))
    const reason = Math.min(widths.at(-1) ?? 0, reasonWidth)
    return widths.slice(0, -1).reduce((sum, one) => sum + one + 2, reason) <= width
  }
  let shown = columns
  for (const name of dispensable) {
    if (fits(shown)) break
    shown = shown.filter(([heading]) => heading !== name)
  }
  return table(rowsOf(shown), { widest, width })
}

const widest = 32

/** The last lines for people: what is wrong by its reasons, and the sum of all. */
export const checkSummary = (
  results: ReadonlyArray<Check.CheckResult>,
  took: Duration.Duration,
  disabled: number
): ReadonlyArray<string> => {
  const off = disabled === 0 ? "" : `${disabled} ${disabled === 1 ? "is" : "are"} disabled`
  if (results.length === 0) {
    return [off === "" ? "no cameras in the table" : `no enabled cameras in the table, ${off}`]
  }
  const kinds = [...wrongByKind(results)].map(([kind, count]) => `${count} ${kind}`)
  const wrong = results.filter(isWrong).length
  const cameras = `${results.length} camera${results.length === 1 ? "" : "s"}`
  const time = (Duration.toMillis(took) / 1000).toFixed(1)
  const more = off === "" ? "" : `, ${off.replace(" ", " more ")}`
  return [
    ...(kinds.length === 0 ? [] : [`wrong: ${kinds.join(", ")}`]),
    `${cameras}, ${wrong === 0 ? "none" : wrong} wrong, in ${time} s${more}`
  ]
}

/** The names as they stand in the rows, by the camera's id: a camera's own is made for a line of text. */
export const namesInRows = (rows: ReadonlyArray<CameraRow>): ReadonlyMap<string, string> =>
  new Map(
    rows.flatMap(({ id, name }) =>
      typeof name === "string" && name !== ""
        ? [[Redaction.oneLine(String(id)), name] as const]
        : []
    )
  )

/** The document for machines. */
export const checkJson = (
  results: ReadonlyArray<Check.CheckResult>,
  options: {
    /** From the first probe's start to the last one's end. */
    readonly took: Duration.Duration
    readonly disabled: number
    readonly names: ReadonlyMap<string, string>
    /** Whether only these are listed. All are counted. */
    readonly isListed: (result: Check.CheckResult) => boolean
  }
) => ({
  total: results.length,
  ok: results.filter((result) => !isWrong(result)).length,
  wrong: results.filter(isWrong).length,
  disabled: options.disabled,
  tookMs: Math.round(Duration.toMillis(options.took) * 10) / 10,
  cameras: results.filter(options.isListed).map((result) => {
    const offer = result._tag === "Answered" ? result.offer : undefined
    return {
      id: result.camera.id,
      name: options.names.get(result.camera.id) ?? result.camera.name,
      type: result.camera.type,
      address: result.camera._tag === "Camera" ? String(result.camera.url) : null,
      path: result.camera._tag === "Camera" ? result.camera.path : null,
      state: stateOf(result),
      health: result.health,
      engine: result._tag === "Answered" ? result.engine : null,
      video: offer?.video ?? null,
      audio: offer?.audio ?? null,
      tookMs: Math.round(Duration.toMillis(result.took)),
      reason:
        result._tag === "Unreachable"
          ? { code: result.reason._tag, message: result.reason.message }
          : result._tag === "Invalid"
            ? { code: "Invalid", message: result.problem }
            : null
    }
  })
})

/** The document as text. What JSON may hold as it is, but a terminal obeys, becomes an escape. */
export const jsonText = (document: unknown): string =>
  JSON.stringify(document, undefined, 2).replaceAll(
    /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`
  )
