/** The registry of camera types, by name. */
import { nearest } from "@restream/config"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { InvalidUrl } from "../camera/Reason.ts"
import { longest, StreamUrl } from "../camera/StreamUrl.ts"
import { axis } from "./builtin/axis.ts"
import { dahua } from "./builtin/dahua.ts"
import { hikvision } from "./builtin/hikvision.ts"
import { onvif } from "./builtin/onvif.ts"
import { url } from "./builtin/url.ts"
import { vendors } from "./builtin/vendors.ts"
import type { CameraType, Columns } from "./CameraType.ts"
import * as UrlTemplate from "./UrlTemplate.ts"

/** The types that need no settings: `url` and those of vendors, which `restream types` lists. */
export const builtin: ReadonlyArray<CameraType> = [url, onvif, hikvision, dahua, axis, ...vendors]

/** The checks of an address that every camera type shares. */
const checked = (url: StreamUrl): Result.Result<StreamUrl, InvalidUrl> => {
  const bad = (detail: string) => Result.fail(new InvalidUrl({ detail }))
  if (StreamUrl.reveal(url).length > longest) {
    return bad(`the address is longer than ${longest} characters`)
  }
  // ffmpeg writes a user name into a header unchanged, including line breaks
  return url.hasControlInCredentials
    ? bad("the user name or password holds a control character")
    : Result.succeed(url)
}

export class CameraTypes extends Context.Service<
  CameraTypes,
  {
    /** Every type, by its name in lower case. */
    readonly all: ReadonlyMap<string, CameraType>
    /** The address of a row's stream by the type of that name. Pure. */
    readonly toUrl: (type: string, columns: Columns) => Result.Result<StreamUrl, InvalidUrl>
  }
>()("@restream/core/camera-type/CameraTypes") {
  /** The built-in types and the given types; a given type replaces a built-in one of its name. */
  static readonly make = (more: Iterable<CameraType> = []): CameraTypes["Service"] => {
    const all = new Map([...builtin, ...more].map((type) => [type.name.toLowerCase(), type]))
    return CameraTypes.of({
      all,
      toUrl: (name, columns) => {
        const type = all.get(name.trim().toLowerCase())
        if (type !== undefined) return Result.flatMap(type.toUrl(columns), checked)
        const close = nearest(name, all.keys())
        const hint = close === undefined ? `"restream types" lists them` : `did you mean ${close}?`
        return Result.fail(new InvalidUrl({ detail: `unknown camera type "${name}"; ${hint}` }))
      }
    })
  }

  /** The built-in types, the given types, and the templates of the settings, which replace types of their names. */
  static readonly withTemplates = (
    templates: Readonly<Record<string, string>>,
    more: Iterable<CameraType> = []
  ): CameraTypes["Service"] =>
    CameraTypes.make([
      ...more,
      ...Object.entries(templates).map(([name, template]) => UrlTemplate.cameraType(name, template))
    ])

  /** A layer of the built-in types and those given. */
  static readonly layer = (more: Iterable<CameraType> = []) =>
    Layer.succeed(CameraTypes, CameraTypes.make(more))
}
