/** A camera for tests of the status: number 12, "Gate", with a password in its address. */
import { type Camera, type CameraId, MediaPath, StreamUrl } from "@restream/core"
import { Result } from "effect"
import { options } from "../kit/Tree.ts"

export const gate: Camera = {
  _tag: "Camera",
  id: "12" as CameraId,
  name: "Gate",
  type: "url",
  url: Result.getOrThrow(StreamUrl.parse("rtsp://admin:TopSecret1@10.0.0.5/live")),
  path: Result.getOrThrow(MediaPath.parse("cam12")),
  options: options.defaults
}
