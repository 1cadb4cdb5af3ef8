import { encode } from "../../camera/PercentEncoding.ts"
import * as CameraType from "../CameraType.ts"
import { vendorColumns, vendorUrl } from "./vendor.ts"

/**
 * Axis: `/axis-media/media.amp?camera=1`; a `stream` names one of the camera's stream profiles (Axis
 * VAPIX, "Video streaming over RTSP").
 */
export const axis = CameraType.make({
  name: "axis",
  description: "Axis: rtsp://host/axis-media/media.amp?camera={channel}&streamprofile={stream}",
  columns: vendorColumns,
  toUrl: (columns) => {
    const profile = columns.stream === undefined ? "" : `&streamprofile=${encode(columns.stream)}`
    return vendorUrl(columns, `/axis-media/media.amp?camera=${columns.channel ?? 1}${profile}`)
  }
})
