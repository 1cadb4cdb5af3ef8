/** The bytes of the faults in {@link Quirks} that corrupt a stream. */
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import { noBody, render } from "../../rtsp/message/Message.ts"
import * as Rtp from "../../rtsp/rtp/Rtp.ts"
import { strayChannel } from "./Quirks.ts"

/** Neither a frame nor a message. */
export const garbage: Buffer = Buffer.from([0, 1, 2, 0xff, 0xfe, 0xaa, 0x55, 0x99, 0x99])

/** The start of a frame that never ends. */
export const halfFrame: Buffer = Buffer.from([InterleavedFrame.dollar, 0, 4, 0, 0x80, 96, 0])

/** Packets of an ended session: on channel 0, and on a channel that was never assigned. */
export const strayFrames = (): Buffer => {
  const packet = Rtp.make(
    { marker: false, payloadType: 96, sequence: 1, timestamp: 1, ssrc: 0xdead },
    Buffer.alloc(100)
  )
  return Buffer.concat([
    InterleavedFrame.make(0, packet),
    InterleavedFrame.make(strayChannel, packet)
  ])
}

/** A request from the camera to the client. */
export const optionsRequest = (): Buffer =>
  render({ _tag: "Request", method: "OPTIONS", uri: "*", headers: [["CSeq", "1"]], body: noBody })
