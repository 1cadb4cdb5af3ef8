/**
 * Decodes one row of the table into a camera and its further streams. Pure.
 *
 * A row that makes no camera becomes an {@link InvalidCamera} with its problem, and affects no other row.
 */
import { didYouMean, oneLine, SettingType } from "@restream/config"
import * as Equal from "effect/Equal"
import * as Result from "effect/Result"
import type { CameraTypes } from "../camera-type/CameraTypes.ts"
import type { Columns } from "../camera-type/CameraType.ts"
import type { Camera, CameraId, CameraServer, InvalidCamera } from "../camera/Camera.ts"
import {
  type CameraOptions,
  isMutedBy,
  mediaServerOption,
  parseOptions,
  streamsOption,
  withDefaults
} from "../camera/CameraOptions.ts"
import type { CameraRow } from "../source/CameraSource.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import * as MediaPath from "../camera/MediaPath.ts"
import * as ServerChoice from "../media-server/ServerChoice.ts"

export interface DecoderOptions {
  readonly types: CameraTypes["Service"]
  /** The path of rows without one, such as `cam{id}`. May contain any column with a plain value. */
  readonly pathTemplate: string
  /** The media servers, if there are several. Default: there is one. */
  readonly servers?: ReadonlyArray<ServerChoice.Candidate> | undefined
  /** Whether cameras without a media server in their rows have fallback servers. Default: no. */
  readonly hasFailover?: boolean | undefined
  /** The values of the option `engine`, see `Engines.choices`. Default: the built-in engines. */
  readonly engines?: ReadonlyArray<string> | undefined
  /** The options of a row without options. */
  readonly defaults: CameraOptions
}

/** A row whose `enabled` is false. */
export interface DisabledCamera {
  readonly _tag: "DisabledCamera"
  readonly id: CameraId
  readonly name: string
}

/** The result for one row or one of its further streams, before rows are compared with each other. */
export type DecodedRow = Camera | InvalidCamera | DisabledCamera

/** The columns with a value: NULL and empty strings count as missing. */
const presentColumns = (row: CameraRow): Columns => {
  const columns: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(row)) {
    if (value !== null && value !== undefined && value !== "") columns[name] = value
  }
  return columns
}

const displayScalar = (value: unknown): string | undefined => {
  switch (typeof value) {
    case "string":
      return value
    case "number":
    case "bigint":
    case "boolean":
      return String(value)
    default:
      return undefined
  }
}

/** Any value as text: a program may use a date or a list as an id; PostgreSQL returns text and JSON. */
export const displayId = (value: unknown): string | undefined => {
  if (typeof value !== "object" || value === null) return displayScalar(value)
  try {
    // JSON would quote a date
    return value instanceof Date ? value.toISOString() : JSON.stringify(value)
  } catch {
    return undefined
  }
}

/** The columns for a path template, without columns that hold secrets. */
const pathValues = (columns: Columns): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const [name, value] of Object.entries(columns)) {
    const text = name === "id" ? displayId(value) : displayScalar(value)
    if (text !== undefined && name !== "password" && name !== "url") values[name] = text
  }
  return values
}

/** The items of a list, of a JSON list as text, or of text with one item per line. */
const itemsOf = (value: unknown): ReadonlyArray<unknown> => {
  if (Array.isArray(value)) return value.filter((item) => item !== null && item !== "")
  if (typeof value !== "string") return value === undefined ? [] : [value]
  if (value.trimStart().startsWith("[")) {
    try {
      return itemsOf(JSON.parse(value))
    } catch {
      // an address that begins with a bracket is rejected later, with a clearer message
    }
  }
  return value.split(/[\r\n]+/).filter((line) => line.trim() !== "")
}

/**
 * The addresses of a row, in the order of preference: the address from its camera type, or each line of its `url`;
 * then the addresses of the column `urls`.
 */
const addressesOf = (columns: Columns, type: string, types: CameraTypes["Service"]) => {
  const { urls, ...rest } = columns
  const isUrl = type.trim().toLowerCase() === "url"
  const lines = isUrl ? itemsOf(rest["url"]) : []
  const more = itemsOf(urls)
  const results = [
    ...(isUrl && (lines.length > 0 || more.length > 0)
      ? lines.map((url) => types.toUrl(type, { ...rest, url }))
      : [types.toUrl(type, rest)]),
    ...more.map((url) => types.toUrl("url", { ...rest, url }))
  ]
  const found: Array<StreamUrl> = []
  const problems: Array<string> = []
  for (const [index, result] of results.entries()) {
    if (Result.isFailure(result)) {
      const where = results.length > 1 ? `address ${index + 1}: ` : ""
      problems.push(where + result.failure.message)
    } else if (!found.some((url) => Equal.equals(url, result.success))) found.push(result.success)
  }
  return { urls: found, problems }
}

/** The identity of a row, even of an invalid row. */
const identify = (columns: Columns, number: number) => {
  const id = displayId(columns["id"])
  return {
    id: oneLine(id ?? `row ${number}`) as CameraId,
    name: oneLine(displayScalar(columns["name"]) ?? id ?? `row ${number}`),
    type: oneLine(displayScalar(columns["type"]) ?? "url"),
    ...(isMutedBy(columns["options"]) && { isMuted: true })
  }
}

/**
 * Decodes a row: one camera, and another one for each further stream of `streams`. If a camera type throws, the stream
 * is invalid.
 *
 * @param number identifies a row without an id.
 */
export const decodeRow = (
  row: CameraRow,
  number: number,
  options: DecoderOptions
): ReadonlyArray<DecodedRow> => {
  const columns = presentColumns(row)
  const identity = identify(columns, number)
  const decode = (subject: Subject) => {
    try {
      return decodeColumns(columns, subject, servers, options)
    } catch {
      // the message of the error may contain secrets of the row
      const problem = `camera type ${identity.type} threw an error on this row`
      return invalid(subject, [problem])
    }
  }
  const servers = serversOf(columns, options)
  const streams = streamsOf(columns)
  const [first, ...further] = Result.getOrElse(streams, () => [])
  const main = decode({ ...identity, ...(first !== undefined && { stream: first }) })
  if (Result.isFailure(streams) && main._tag !== "DisabledCamera") {
    const problems = main._tag === "InvalidCamera" ? [main.problem] : []
    return [invalid(identity, [...problems, streams.failure])]
  }
  if (main._tag === "DisabledCamera" || displayId(columns["id"]) === undefined) return [main]
  return [
    main,
    ...further.map((stream) => {
      const id = `${identity.id}:${stream}` as CameraId
      const name = columns["name"] === undefined ? id : identity.name
      const substream = { of: identity.id, name: stream }
      const camera = decode({ ...identity, id, name, stream, substream })
      const isSameUrl =
        main._tag === "Camera" && camera._tag === "Camera" && Equal.equals(main.url, camera.url)
      return isSameUrl
        ? invalid(camera, [
            `the camera type ${camera.type} makes the same address as for stream ${first}: set the column url_${stream}`
          ])
        : camera
    })
  ]
}

/** The stream of a row that is decoded. */
interface Subject extends Pick<InvalidCamera, "id" | "name" | "type" | "substream" | "isMuted"> {
  /** Default: the row's column `stream`. */
  readonly stream?: string | undefined
}

const invalid = (
  { id, isMuted, name, substream, type }: Subject,
  problems: ReadonlyArray<string>
): InvalidCamera => ({
  _tag: "InvalidCamera",
  id,
  name,
  type,
  ...(substream !== undefined && { substream }),
  ...(isMuted === true && { isMuted }),
  problem: oneLine(problems.join("; "))
})

/** The media servers of a row's streams, the preferred one first; empty if there is only one media server. */
const serversOf = (
  columns: Columns,
  { hasFailover = false, pathTemplate, servers = [] }: DecoderOptions
): Result.Result<ReadonlyArray<CameraServer>, string> => {
  if (servers.length === 0) return Result.succeed([])
  const isColumn = columns["media_server"] !== undefined
  const given = isColumn ? columns["media_server"] : mediaServerOption(columns["options"])
  if (given !== undefined && given !== null && given !== "") {
    const name = displayScalar(given)?.trim() ?? ""
    const found = servers.find(({ server }) => server.name.toLowerCase() === name.toLowerCase())
    if (found !== undefined) return Result.succeed([found.server])
    const names = servers.map(({ server }) => server.name)
    const hint = didYouMean(name, names) || `; mediaServers has ${names.join(", ")}`
    const where = isColumn ? "column media_server" : "column options.media_server"
    return Result.fail(`${where}: unknown media server "${oneLine(name)}"${hint}`)
  }
  const path = displayScalar(columns["path"])
  // the template may contain the server's name, which is not known yet
  const values = { ...pathValues(columns), media_server: "" }
  const order = ServerChoice.inOrder(path ?? MediaPath.fill(pathTemplate, values), servers)
  const namesServer = path === undefined && pathTemplate.includes("{media_server}")
  return Result.succeed(hasFailover && !namesServer ? order : order.slice(0, 1))
}

/** The streams to relay, by the column `streams`, else by the key `streams` of the options. */
const streamsOf = (columns: Columns): Result.Result<ReadonlyArray<string>, string> => {
  const isColumn = columns["streams"] !== undefined
  const given = isColumn ? columns["streams"] : streamsOption(columns["options"])
  const where = isColumn ? "column streams" : "column options.streams"
  const names = itemsOf(given)
    .flatMap((item) => displayScalar(item)?.split(",") ?? [""])
    .map((name) => name.trim().toLowerCase())
  const isList = names.every((name) => /^[0-9a-z_-]{1,32}$/.test(name))
  if (!isList || new Set(names).size < names.length) {
    return Result.fail(
      `${where}: the value is not a list of different streams such as ["main", "sub"]`
    )
  }
  return Result.succeed(names)
}

/** The path of a stream. A further stream has its own column, else the camera's path followed by the stream's name. */
const pathOf = (
  columns: Columns,
  substream: InvalidCamera["substream"],
  { pathTemplate }: DecoderOptions
) => {
  const own = substream && displayScalar(columns[`path_${substream.name}`])
  if (own !== undefined) return MediaPath.parse(own)
  const given = displayScalar(columns["path"])
  const path =
    given === undefined
      ? MediaPath.fromTemplate(pathTemplate, pathValues(columns))
      : MediaPath.parse(given)
  return substream === undefined
    ? path
    : Result.flatMap(path, (path) => MediaPath.parse(`${path}_${substream.name}`))
}

/** The columns for the addresses of a stream. */
const columnsOf = (columns: Columns, { stream, substream }: Subject): Columns => {
  if (substream === undefined) return stream === undefined ? columns : { ...columns, stream }
  // the column `urls` holds addresses of the main stream
  const { urls: _, ...rest } = columns
  return {
    ...rest,
    stream: substream.name,
    ...(columns[`url_${substream.name}`] !== undefined && {
      url: columns[`url_${substream.name}`]
    })
  }
}

const decodeColumns = (
  columns: Columns,
  subject: Subject,
  servers: Result.Result<ReadonlyArray<CameraServer>, string>,
  options: DecoderOptions
): DecodedRow => {
  const { id, isMuted, name, substream, type } = subject
  const hasId = displayId(columns["id"]) !== undefined
  const problems: Array<string> = []

  const enabled =
    columns["enabled"] === undefined
      ? Result.succeed(true)
      : SettingType.boolean.parse(columns["enabled"])
  if (Result.isFailure(enabled)) problems.push(`column enabled: ${enabled.failure}`)
  else if (!enabled.success) return { _tag: "DisabledCamera", id, name }

  if (!hasId) {
    problems.push(`column id ${"id" in columns ? "has no text that shows it" : "is missing"}`)
  }

  const chosen = parseOptions(columns["options"], options.engines)
  if (Result.isFailure(chosen)) problems.push(...chosen.failure)

  if (Result.isFailure(servers)) problems.push(servers.failure)
  const [mediaServer, ...fallbackServers] = Result.getOrElse(servers, () => [])
  const named = mediaServer === undefined ? columns : { ...columns, media_server: mediaServer.name }
  const path = pathOf(named, substream, options)
  // without an id the template cannot be filled, and the missing id is already reported
  if (
    Result.isFailure(path) &&
    Result.isSuccess(servers) &&
    (hasId || displayScalar(columns["path"]) !== undefined)
  ) {
    problems.push(path.failure)
  }

  const addresses = addressesOf(columnsOf(columns, subject), type, options.types)
  problems.push(...addresses.problems)
  const [url, ...backups] = addresses.urls

  if (
    problems.length > 0 ||
    Result.isFailure(path) ||
    url === undefined ||
    Result.isFailure(chosen)
  ) {
    return invalid(subject, problems)
  }
  return {
    _tag: "Camera",
    id,
    name,
    type,
    ...(substream !== undefined && { substream }),
    ...(isMuted === true && { isMuted }),
    url,
    ...(backups.length > 0 && { backups }),
    path: path.success,
    ...(mediaServer !== undefined && { mediaServer }),
    ...(fallbackServers.length > 0 && { fallbackServers }),
    options: withDefaults(chosen.success, options.defaults)
  }
}
