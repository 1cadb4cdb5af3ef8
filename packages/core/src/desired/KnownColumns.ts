/** The columns of a row that are used: by the decoder, the camera types and the templates of the settings. */
import type { Settings } from "@restream/config"
import type { CameraType } from "../camera-type/CameraType.ts"
import { builtin } from "../camera-type/CameraTypes.ts"
import * as UrlTemplate from "../camera-type/UrlTemplate.ts"

/** The columns with the same meaning for every camera type. */
const common = [
  "id",
  "name",
  "type",
  "path",
  "enabled",
  "options",
  "urls",
  "streams",
  "device",
  "media_server",
  "url_sub",
  "path_sub",
  "url_third",
  "path_third"
]

/**
 * The columns that are used with the settings in force.
 *
 * @param types camera types besides the built-in types and the templates of the settings.
 * @returns `undefined` if a camera type does not declare its columns, so that it may use any column.
 */
export const knownColumns = (
  { cameraTypes, mediaServer }: Pick<Settings, "cameraTypes" | "mediaServer">,
  types: Iterable<CameraType>
): ReadonlySet<string> | undefined => {
  const columns = new Set([...common, ...UrlTemplate.columnsOf(mediaServer.pathTemplate)])
  for (const template of Object.values(cameraTypes)) {
    for (const name of UrlTemplate.columnsOf(template)) columns.add(name)
  }
  for (const type of [...builtin, ...types]) {
    if (type.columns === undefined) return undefined
    for (const { name } of type.columns) columns.add(name)
  }
  return columns
}
