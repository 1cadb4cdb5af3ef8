import * as Schema from "effect/Schema"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import * as CameraType from "../CameraType.ts"
import * as Column from "../Column.ts"
import { vendorColumns } from "./vendor.ts"

/**
 * Any camera with ONVIF: the address of the stream is requested from the camera when it is opened, see
 * `engine/Engines.ts`. The address of the row has the scheme `onvif`, and a query that selects the stream.
 */
export const onvif = CameraType.make({
  name: "onvif",
  description:
    "any camera with ONVIF, which is asked for the address of its stream; port is the port of ONVIF (default 80); stream may be the name of a profile",
  columns: {
    ...vendorColumns,
    /** Replaces the port in the address that the camera gives, for a camera behind a NAT. */
    rtsp_port: Schema.optional(Column.port)
  },
  toUrl: ({ channel, host, password, port, rtsp_port, stream, username }) => {
    const query = Object.entries({ stream, channel, rtsp_port }).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`]
    )
    return new StreamUrl({
      scheme: "onvif",
      host,
      port,
      username,
      password,
      target: query.length === 0 ? "/" : `/?${query.join("&")}`
    })
  }
})
