import * as Result from "effect/Result"
import { InvalidUrl } from "../../camera/Reason.ts"
import * as CameraType from "../CameraType.ts"
import { streamNumber, vendorColumns, vendorUrl } from "./vendor.ts"

/**
 * Hikvision and its other brands: `/Streaming/Channels/101`, the channel followed by the stream's two digits, `01`
 * main and `02` sub (Hikvision, "RTSP URL format", firmware 5 and later).
 */
export const hikvision = CameraType.make({
  name: "hikvision",
  description: "Hikvision: rtsp://host/Streaming/Channels/{channel}0{stream}",
  columns: vendorColumns,
  toUrl: (columns) => {
    const stream = streamNumber(columns.stream, 1)
    if (stream === undefined || stream === 0) {
      return Result.fail(
        new InvalidUrl({
          detail: "column stream: the value is not main, sub, third or a number from 1 to 99"
        })
      )
    }
    const channel = `${columns.channel ?? 1}${String(stream).padStart(2, "0")}`
    return vendorUrl(columns, `/Streaming/Channels/${channel}`)
  }
})
