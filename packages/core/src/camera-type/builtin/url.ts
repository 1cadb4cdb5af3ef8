import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import * as CameraType from "../CameraType.ts"
import * as Column from "../Column.ts"

/**
 * Any camera, by its whole address in the column `url`. A user name or a password in the address takes precedence
 * over both columns: a mixture of both would be a wrong password.
 */
export const url = CameraType.make({
  name: "url",
  description:
    "any camera, by its whole address in the column url; username and password may be in their columns",
  columns: {
    url: Column.text,
    username: Schema.optional(Column.text),
    password: Schema.optional(Column.secret)
  },
  toUrl: ({ password, url, username }) =>
    Result.map(StreamUrl.parse(url), (url) =>
      url.hasCredentials || (username === undefined && password === undefined)
        ? url
        : url.withCredentials(username, password)
    )
})
