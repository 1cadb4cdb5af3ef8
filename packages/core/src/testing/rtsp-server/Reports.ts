/** Receiver reports to publishers: a relay must read them. */
import * as InterleavedFrame from "../../rtsp/interleaved/InterleavedFrame.ts"
import * as Rtcp from "../../rtsp/rtp/Rtcp.ts"

/** One receiver report, as a frame, per sender report in a run of frames. */
export const receiverReports = (
  bytes: Buffer,
  start: number,
  end: number
): ReadonlyArray<Buffer> => {
  const reports: Array<Buffer> = []
  for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
    const packet = InterleavedFrame.packetStart(at)
    if (!Rtcp.isRtcp(bytes, packet, InterleavedFrame.end(bytes, at))) continue
    const sender = Rtcp.readSenderReport(bytes, packet, InterleavedFrame.end(bytes, at))
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
    reports.push(InterleavedFrame.make(InterleavedFrame.channel(bytes, at), report))
  }
  return reports
}
