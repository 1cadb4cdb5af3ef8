/** An engine that does nothing: its cameras go live at once and stay so. */
import type { Camera, Engine } from "@restream/core"
import { Duration, Effect } from "effect"

const counters = { bytes: 1, packets: 1, lost: 0, dropped: 0, lastVideoAt: undefined }
const info = { video: { codec: "h264" }, audio: undefined } as const

/** @param onOpen is called when a camera is probed. */
export const make = (onOpen: (camera: Camera) => void = () => {}): Engine => ({
  name: "native",
  slowAfter: Duration.seconds(1),
  concurrency: 32,
  open: (source) =>
    Effect.sync(() => {
      onOpen(source as Camera)
      return {
        info,
        publish: () =>
          Effect.succeed({
            flowing: Effect.void,
            ended: Effect.never,
            counters: () => counters,
            published: info,
            notices: []
          })
      }
    })
})
