/** Receiver reports of the embedded server to its publishers: a relay has to drain such. */
import * as Frame from "../../rtsp/interleaved/InterleavedFrame.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"

/** A receiver report, as a frame, for each sender report in a run of frames. */
export const receiverReports = (
  bytes: Buffer,
  start: number,
  end: number
): ReadonlyArray<Buffer> => {
  const reports: Array<Buffer> = []
  for (let at = start; at < end; at = Frame.end(bytes, at)) {
    const packet = Frame.packetStart(at)
    if (!Rtcp.isRtcp(bytes, packet, Frame.end(bytes, at))) continue
    const sender = Rtcp.readSenderReport(bytes, packet, Frame.end(bytes, at))
    if (sender === undefined) continue
    const block: Rtcp.ReportBlock = {
      ssrc: sender.ssrc,
      fractionLost: 0,
      cumulativeLost: 0,
      highestSequence: 0,
      jitter: 0,
      lastSenderReport: Rtcp.middleOfNtp(sender),
      delaySinceLastSenderReport: 0
    }
    const report = Rtcp.makeReceiverReport({ ssrc: 1, blocks: [block], name: "restream" })
    reports.push(Frame.make(Frame.channel(bytes, at), report))
  }
  return reports
}
