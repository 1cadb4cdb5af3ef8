import * as Result from "effect/Result"
import { InvalidUrl } from "../../camera/Reason.ts"
import * as CameraType from "../CameraType.ts"
import { streamNumber, vendorColumns, vendorUrl } from "./vendor.ts"

/**
 * Dahua and Amcrest: `/cam/realmonitor?channel=1&subtype=0`, `subtype` 0 main and 1 sub (Dahua HTTP API
 * specification, "Get real-time stream").
 */
export const dahua = CameraType.make({
  name: "dahua",
  description: "Dahua: rtsp://host/cam/realmonitor?channel={channel}&subtype={stream}",
  columns: vendorColumns,
  toUrl: (columns) => {
    const subtype = streamNumber(columns.stream, 0)
    return subtype === undefined
      ? Result.fail(
          new InvalidUrl({ detail: "column stream: the value is not main, sub, third or a number" })
        )
      : vendorUrl(columns, `/cam/realmonitor?channel=${columns.channel ?? 1}&subtype=${subtype}`)
  }
})
