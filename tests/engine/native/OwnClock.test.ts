/** Cameras whose sender reports are wrong, or that send none: with `wallclock` the server gets reports by our clock. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine, SenderClock } from "@restream/core"
import { Rtcp, Rtp } from "@restream/core/rtsp"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import * as RecordingProxy from "../../kit/RecordingProxy.ts"
import { until } from "../../kit/Eventually.ts"
import { job, startRelay } from "../Streams.ts"

const native = NativeEngine.make()

const reportIn = (packet: Buffer) => Rtcp.readSenderReport(packet, 0, packet.length)

describe("the native engine, with the clock of this machine,", () => {
  for (const reports of [0, "none"] as const) {
    it.live(
      `sends the time of a camera to the server ${reports === 0 ? "in 1970" : "without reports"}`,
      () =>
        Effect.gen(function* () {
          const camera = yield* RtspServer.make()
          const publisher = yield* TestPattern.publish(camera, "cam", {
            frameRate: 25,
            audio: true,
            reports
          })
          const sink = yield* RtspServer.make()
          const proxy = yield* RecordingProxy.make("sink", sink.port)
          const startedAt = Date.now()
          yield* startRelay(
            native,
            job(camera.url("cam"), `rtsp://127.0.0.1:${proxy.port}/out`, { wallclock: true })
          )
          for (const [rtp, rtcp] of [
            [0, 1],
            [2, 3]
          ] as const) {
            const on = (channel: number) => (entry: RecordingProxy.Entry) =>
              entry._tag === "Frame" && entry.from === "us" && entry.channel === channel
            const [first, second] = [yield* proxy.heard(on(rtcp)), yield* proxy.heard(on(rtp))]
            assert(first._tag === "Frame" && second._tag === "Frame")
            const report = reportIn(first.packet)!
            assert.isAtLeast(Rtcp.timeOf(report), startedAt)
            assert.isAtMost(Rtcp.timeOf(report), Date.now())
            // the report precedes the packet that it is about
            assert.strictEqual(report.ssrc, Rtp.ssrc(second.packet, 0))
            assert.strictEqual(report.timestamp, Rtp.timestamp(second.packet, 0))
            const frames = proxy.all((entry) => on(rtp)(entry) || on(rtcp)(entry))
            assert.strictEqual(frames.indexOf(first) + 1, frames.indexOf(second))
          }
          // what the camera reports meanwhile is not forwarded
          if (reports === "none") return
          const zero = {
            ssrc: 1,
            ntpSeconds: 0,
            ntpFraction: 0,
            timestamp: 0,
            packets: 0,
            octets: 0
          }
          publisher.writeRtcp(0, Rtcp.makeSenderReport(zero, "camera"))
          const sent = () => proxy.all(RecordingProxy.frame("us", "rtp")).length
          const before = sent()
          yield* until("a second of media", () => sent() > before + 50)
          const times = proxy
            .all(RecordingProxy.frame("us", "rtcp"))
            .flatMap((entry) => (entry._tag === "Frame" ? (reportIn(entry.packet) ?? []) : []))
            .map(Rtcp.timeOf)
          assert.isTrue(times.every((time) => time >= startedAt))
        })
    )
  }
})

describe("SenderClock", () => {
  const ssrc = 7
  const seconds = (report: Rtcp.SenderReport | undefined) =>
    report && Math.round(Rtcp.timeOf(report)) / 1000

  it("uses the packet with the shortest delay", () => {
    const clock = new SenderClock(1000)
    assert.isTrue(clock.take(ssrc, 0, 10, 100_300))
    assert.isFalse(clock.take(ssrc, 1000, 10, 101_100))
    assert.isFalse(clock.take(ssrc, 2000, 10, 102_900))
    const report = clock.report()
    assert.deepInclude(report, { ssrc, timestamp: 2000, packets: 3, octets: 30 })
    assert.strictEqual(seconds(report), 102.1)
    // by the packets since then
    clock.take(ssrc, 3000, 10, 103_500)
    assert.strictEqual(seconds(clock.report()), 103.5)
  })

  it("reports nothing without packets", () => {
    const clock = new SenderClock(1000)
    assert.isUndefined(clock.report())
    clock.take(ssrc, 0, 10, 100_000)
    assert.isDefined(clock.report())
    assert.isUndefined(clock.report())
  })

  it("follows timestamps that wrap or start over, and a new source", () => {
    const clock = new SenderClock(1000)
    clock.take(ssrc, 0xffff_fe0c, 10, 100_000)
    clock.take(ssrc, 500, 10, 101_000)
    assert.strictEqual(seconds(clock.report()), 101)
    clock.take(ssrc, 1500, 10, 102_000)
    clock.take(ssrc, 3_000_000, 10, 103_000)
    assert.strictEqual(seconds(clock.report()), 103)
    clock.take(ssrc, 0, 10, 104_000)
    assert.strictEqual(seconds(clock.report()), 104)
    assert.isTrue(clock.take(8, 77, 10, 105_000))
    const report = clock.report()
    assert.strictEqual(seconds(report), 105)
    assert.deepInclude(report, { ssrc: 8, packets: 1, octets: 10 })
  })

  it("reports a camera that sends pictures out of order", () => {
    const clock = new SenderClock(1000)
    for (const [timestamp, now] of [
      [0, 100_000],
      [120, 100_040],
      [40, 100_080],
      [80, 100_120]
    ] as const) {
      clock.take(ssrc, timestamp, 10, now)
    }
    assert.strictEqual(seconds(clock.report()), 100)
  })
})
