/** The origin of one camera's address, and each step of its probe, for `restream check --explain`. */
import { hasNamedServers, oneLine, redact, type Settings } from "@restream/config"
import {
  type Camera,
  type CameraRow,
  type CameraType,
  type Check,
  type InvalidCamera,
  optionNames,
  mediaServerOption,
  parseOptions,
  UrlTemplate
} from "@restream/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Tracer from "effect/Tracer"
import { table, type TableOptions } from "../text/Table.ts"

/** Records the steps of a probe: the spans of the engines and of the RTSP client. */
export interface Recorder {
  readonly tracer: Tracer.Tracer
  readonly spans: ReadonlyArray<Tracer.Span>
}

export const makeRecorder = (): Recorder => {
  const spans: Array<Tracer.Span> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { tracer, spans }
}

export interface Explained {
  readonly row: CameraRow
  /** `undefined`: no type has the name. */
  readonly type: CameraType.CameraType | undefined
  readonly settings: Pick<Settings, "camera" | "mediaServer" | "mediaServers">
  /** Of each stream of the camera, the main stream first. */
  readonly results: readonly [Check.CheckResult, ...Array<Check.CheckResult>]
  readonly spans: ReadonlyArray<Tracer.Span>
}

/** The explanation as text, without secrets. */
export const explanation = (input: Explained, options: TableOptions): string =>
  [
    [["COLUMN", "VALUE", "MEANING"], ...columnRows(input)],
    ...input.results.map(({ camera }) => addressRows(camera, input)),
    [["STEP", "TIME", "RESULT"], ...stepRows(input.spans)]
  ]
    .filter((rows) => rows.length > 1)
    .map((rows) => table(rows, options))
    .concat(
      input.results
        .map((result) => {
          const name = input.results.length > 1 ? `${result.camera.id}: ` : ""
          return name + conclusion(result)
        })
        .join("\n")
    )
    .join("\n\n")

/** The columns whose values are shown. Any other column may be a part of a password. */
const shownColumns = new Set([
  "id",
  "name",
  "type",
  "url",
  "urls",
  "host",
  "port",
  "channel",
  "stream",
  "streams",
  "path",
  "enabled",
  "options",
  "media_server"
])

const isPresent = (value: unknown): boolean => value !== undefined && value !== null && value !== ""

const textOf = (value: unknown): string =>
  typeof value === "object" ? JSON.stringify(value) : String(value)

const shownValue = (name: string, value: unknown): string => {
  const text = textOf(value)
  // url_sub is like url
  if (shownColumns.has(name) || shownColumns.has(name.replace(/_.*/, "")))
    return oneLine(redact(text))
  return text.trim() === text ? "***" : "*** (begins or ends with white space)"
}

const meanings: Readonly<Record<string, string>> = {
  id: "identifies the camera",
  name: "for people",
  path: "path on the media server",
  enabled: "whether the camera is relayed",
  options: "options of this camera",
  streams: "streams to relay",
  urls: "backup addresses"
}

/** The columns of a further stream: `url_sub`, `path_sub`. */
const streamMeaning = (name: string, results: Explained["results"]): string | undefined => {
  const [, what, stream] = /^(url|path)_(sub|third)$/.exec(name) ?? []
  if (what === undefined) return undefined
  return results.some(({ camera }) => camera.substream?.name === stream)
    ? `${what === "url" ? "address" : "path"} of the stream ${stream}`
    : `not used: the column streams does not list ${stream}`
}

const columnRows = ({
  results,
  row,
  settings,
  type
}: Explained): ReadonlyArray<ReadonlyArray<string>> => {
  const read = new Map((type?.columns ?? []).map((column) => [column.name, column]))
  const inPath = isPresent(row["path"])
    ? new Set<string>()
    : new Set(UrlTemplate.columnsOf(settings.mediaServer.pathTemplate))
  const hasServers = hasNamedServers(settings)
  const isFirstInUrls = isPresent(row["urls"]) && !isPresent(row["url"])
  const meaningOf = (name: string): ReadonlyArray<string> | undefined => {
    const found =
      name === "urls" && isFirstInUrls
        ? "addresses, the preferred one first"
        : name === "media_server" && hasServers
          ? "names the media server"
          : (meanings[name] ?? streamMeaning(name, results))
    return found === undefined ? undefined : [found]
  }
  const meaning = (name: string): string => {
    const column = read.get(name)
    const words = [
      ...(name === "type" ? [typeMeaning(type)] : []),
      ...(meaningOf(name) ?? []),
      ...(column === undefined ? [] : ["part of the address"]),
      ...(inPath.has(name) ? ["part of the path"] : [])
    ]
    if (words.length > 0) return words.join("; ")
    // a type that does not declare its columns may read any column
    return type?.columns === undefined ? "" : "not read by this camera type"
  }
  const present = Object.entries({ id: undefined, ...row }).filter(([, value]) => isPresent(value))
  const names = new Set(present.map(([name]) => name))
  return [
    ...present.map(([name, value]) => [name, shownValue(name, value), meaning(name)]),
    ...[...read.values()]
      .filter(({ name }) => !names.has(name))
      .map(({ isRequired, name }) => [
        name,
        "-",
        name === "url" && isFirstInUrls
          ? "optional, with urls"
          : isRequired
            ? "required, and missing"
            : "optional"
      ])
  ]
}

const typeMeaning = (type: CameraType.CameraType | undefined): string =>
  type === undefined ? "unknown camera type" : `camera type: ${type.description}`

const addressRows = (
  camera: Camera | InvalidCamera,
  { row, settings }: Pick<Explained, "row" | "settings">
): ReadonlyArray<ReadonlyArray<string>> => {
  if (camera._tag === "InvalidCamera") return []
  const own = Result.getOrElse(parseOptions(row["options"], [camera.options.engine]), () => ({}))
  const urls = [camera.url, ...(camera.backups ?? [])]
  const { pathTemplate } = settings.mediaServer
  return [
    [`CAMERA ${camera.id}`, "VALUE", "ORIGIN"],
    ...urls.map((url, index) => [
      index === 0 ? "address" : `address ${index + 1}`,
      String(url),
      index === 0 ? `type ${camera.type}` : "backup address"
    ]),
    ...(camera.mediaServer === undefined
      ? []
      : [["media server", camera.mediaServer.name, serverOrigin(row)]]),
    ["path", camera.path, pathOrigin(camera, row, pathTemplate)],
    ...optionNames.flatMap((name) => {
      const value = camera.options[name as keyof typeof camera.options]
      if (value === undefined) return []
      const origin = Object.hasOwn(own, name) ? "column options" : `camera.${name}`
      return [[name, Duration.isDuration(value) ? Duration.format(value) : String(value), origin]]
    })
  ]
}

const serverOrigin = (row: CameraRow): string => {
  if (isPresent(row["media_server"])) return "column media_server"
  return isPresent(mediaServerOption(row["options"])) ? "column options" : "by the path"
}

const pathOrigin = ({ substream }: Camera, row: CameraRow, template: string): string => {
  const base = isPresent(row["path"]) ? "column path" : `mediaServer.pathTemplate ${template}`
  if (substream === undefined) return base
  const own = `path_${substream.name}`
  return isPresent(row[own]) ? `column ${own}` : `${base}, with _${substream.name}`
}

const stepRows = (spans: ReadonlyArray<Tracer.Span>): ReadonlyArray<ReadonlyArray<string>> => {
  const shown = spans.filter((span) => steps[span.name] !== undefined)
  const depth = ({ parent }: Tracer.Span): number =>
    Option.match(parent, {
      onNone: () => 0,
      onSome: (outer) => (outer._tag === "Span" && shown.includes(outer) ? depth(outer) + 1 : 0)
    })
  return shown
    .toSorted((a, b) => Number(a.status.startTime - b.status.startTime))
    .map((span) => [
      "  ".repeat(depth(span)) + (steps[span.name]?.(span.attributes) ?? ""),
      timeOf(span),
      outcomeOf(span)
    ])
}

/** The spans that are steps, by their names. */
const steps: Readonly<Record<string, (attributes: ReadonlyMap<string, unknown>) => string>> = {
  "Engine.open": (attributes) => `open with ${String(attributes.get("engine"))}`,
  "Rtsp.connect": (attributes) => `connect to ${String(attributes.get("authority"))}`,
  "HostResolver.resolve": (attributes) => `resolve ${String(attributes.get("host"))}`,
  "Rtsp.secure": () => "TLS handshake",
  "Rtsp.request": (attributes) =>
    `${String(attributes.get("method"))}${attributes.get("authenticated") === true ? " with credentials" : ""}`,
  Ffprobe: () => "run ffprobe"
}

const timeOf = ({ status }: Tracer.Span): string =>
  status._tag === "Started"
    ? ""
    : `${(Number(status.endTime - status.startTime) / 1e6).toFixed(1)} ms`

const outcomeOf = ({ attributes, status }: Tracer.Span): string => {
  if (status._tag === "Started") return "not finished"
  const result = attributes.get("result")
  if (Exit.isSuccess(status.exit)) return result === undefined ? "ok" : oneLine(String(result))
  const error = Cause.findErrorOption(status.exit.cause)
  const message = Option.match(error, {
    onNone: () => "interrupted",
    onSome: (one) => (Predicate.hasProperty(one, "message") ? String(one.message) : String(one))
  })
  return oneLine(redact(message))
}

const conclusion = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return `ok, read by ${result.engine}`
    case "Relayed":
      return "live: the camera is relayed already and was not probed; --force probes it"
    case "Unreachable":
      return `${result.reason.message}; see restream explain ${result.reason._tag}`
    case "Invalid":
      return `invalid row: ${result.problem}`
  }
}
