import * as CameraType from "../CameraType.ts"
import * as Column from "../Column.ts"

/** Any camera, by its whole address in the column `url`. */
export const url = CameraType.make({
  name: "url",
  description: "any camera, by its whole address in the column url",
  columns: { url: Column.text },
  toUrl: ({ url }) => url
})
