import { assert, describe, it, vi } from "@effect/vitest"
import { PacketForwarder } from "@restream/core"
import { ChannelMap, InterleavedFrame, Framer, Keyframe, Rtcp, Rtp } from "@restream/core/rtsp"
import { Effect } from "effect"
import * as fc from "fast-check"
import { cutAt, holds } from "../../rtsp/Fuzz.ts"

/** The camera's channels by track, and the server's. */
const camera = [
  [4, 5],
  [0, 1]
] as const
const server = [
  [0, 1],
  [2, 3]
] as const

/** A forwarder whose server takes as much as the test lets it. */
const setUp = () => {
  const sent: Array<Buffer> = []
  const peers = { unsent: 0, firstVideos: 0 }
  const forwarder = new PacketForwarder.PacketForwarder({
    trackByChannel: ChannelMap.trackByChannel(camera),
    tracks: [
      {
        kind: "video",
        startsKeyframe: Keyframe.startsKeyframe("h264"),
        payloadType: 96,
        announcedType: 96,
        channels: server[0]
      },
      {
        kind: "audio",
        startsKeyframe: Keyframe.startsKeyframe("aac"),
        payloadType: 96,
        announcedType: 96,
        channels: server[1]
      }
    ],
    writer: {
      send: (piece, length) => {
        sent.push(Buffer.from(piece.buffer.subarray(0, length)))
        piece.release()
      },
      unsent: () => peers.unsent
    },
    onFirstVideo: () => peers.firstVideos++
  })
  const push = (...frames: ReadonlyArray<Buffer>) => {
    const bytes = Buffer.concat(frames)
    forwarder.frames(bytes, 0, bytes.length)
  }
  return { forwarder, sent, peers, push }
}

const packet = (sequence: number, marker: boolean, ...payload: ReadonlyArray<number>) =>
  Rtp.make(
    { marker, payloadType: 96, sequence, timestamp: 1, ssrc: 7 },
    Buffer.from(payload.length === 0 ? [0x41, 0x88] : payload)
  )

const video = (sequence: number, marker = true, ...payload: ReadonlyArray<number>) =>
  InterleavedFrame.make(camera[0][0], packet(sequence, marker, ...payload))
const sound = (sequence: number) =>
  InterleavedFrame.make(camera[1][0], packet(sequence, false, 1, 2, 3))
const report = () =>
  InterleavedFrame.make(camera[0][1], Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "x" }))

/** The same on the server's channel. */
const moved = (frame: Buffer, channel: number): Buffer => {
  const copy = Buffer.from(frame)
  InterleavedFrame.setChannel(copy, 0, channel)
  return copy
}

/** Whether no frame of what was sent in one go is torn. */
const areWholeFrames = (bytes: Buffer): boolean => {
  let at = 0
  while (at < bytes.length) at = InterleavedFrame.end(bytes, at)
  return at === bytes.length
}

const anyPacket = fc.oneof(
  fc
    .tuple(fc.nat(0xffff), fc.boolean(), fc.uint8Array({ maxLength: 40 }))
    .map(([sequence, marker, payload]) => packet(sequence, marker, ...payload)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Rtcp.makeReceiverReport({ ssrc: 1, blocks: [], name: "x" })),
  fc
    .integer({ min: 60_000, max: 65_535 })
    .map((length) => Buffer.concat([packet(7, false), Buffer.alloc(length - 14, 0x80)]))
)

const anyFrame = fc
  .tuple(fc.constantFrom(0, 1, 4, 5, 9, 200), anyPacket)
  .map(([channel, bytes]) => InterleavedFrame.make(channel, bytes))

describe("PacketForwarder", () => {
  it("forwards the packets of its tracks, and nothing else, in chunks of any size", () => {
    holds(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 20 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        (frames, cuts) => {
          const { forwarder, sent } = setUp()
          const framer = new Framer.Framer({
            frames: forwarder.frames,
            message: () => assert.fail("a message"),
            skipped: () => assert.fail("garbage"),
            failed: () => assert.fail("failed")
          })
          for (const chunk of cutAt(Buffer.concat(frames), cuts)) framer.push(chunk, true)
          // whatever still waits goes out with the last packet of a picture
          const last = video(0)
          framer.push(Buffer.from(last))
          const expected = [...frames, last].flatMap((frame) => {
            const trackSlot =
              ChannelMap.trackByChannel(camera)[InterleavedFrame.channel(frame, 0)] ?? 255
            if (trackSlot === ChannelMap.unassigned) return []
            const at = InterleavedFrame.headerBytes
            const isSent =
              (trackSlot & 1) === 0
                ? Rtp.isRtp(frame, at, frame.length) && Rtp.payloadType(frame, at) === 96
                : Rtcp.isRtcp(frame, at, frame.length)
            if (!isSent) return []
            return [moved(frame, server.flat()[trackSlot] ?? 255)]
          })
          const all = Buffer.concat(expected)
          assert.isTrue(Buffer.concat(sent).equals(all))
          // a question to the server may go out between any two of them
          assert.isTrue(sent.every(areWholeFrames))
          assert.deepStrictEqual(
            { bytes: forwarder.bytes, packets: forwarder.packets, dropped: forwarder.dropped },
            { bytes: all.length, packets: expected.length, dropped: 0 }
          )
        }
      )
    )
  })

  it("writes a whole picture without a delay", () => {
    const { push, sent } = setUp()
    push(video(1, false), video(2, false))
    assert.strictEqual(sent.length, 0)
    push(video(3, true))
    assert.strictEqual(sent.length, 1)
  })

  it("writes a large part of a picture as soon as it may", () => {
    const { push, sent } = setUp()
    const fragment = InterleavedFrame.make(
      camera[0][0],
      Buffer.concat([packet(1, false), Buffer.alloc(20_000)])
    )
    push(fragment)
    assert.strictEqual(sent.length, 1)
  })

  it.live("writes audio with the next picture, or after a delay without one", () =>
    Effect.gen(function* () {
      const { push, sent } = setUp()
      push(sound(1))
      push(sound(2))
      assert.strictEqual(sent.length, 0)
      push(video(1))
      assert.strictEqual(sent.length, 1)
      const startedAt = performance.now()
      push(sound(3))
      while (sent.length === 1) yield* Effect.sleep("1 millis")
      assert.isAtLeast(performance.now() - startedAt, 15)
      assert.isTrue(sent[1]?.equals(moved(sound(3), server[1][0])))
    })
  )

  it("writes everything at its end", () => {
    const { forwarder, push, sent } = setUp()
    push(sound(1))
    forwarder.flush()
    assert.strictEqual(sent.length, 1)
    forwarder.flush()
    assert.strictEqual(sent.length, 1)
  })

  it("reports the first video once, and no audio", () => {
    const { peers, forwarder, push } = setUp()
    push(sound(1))
    assert.deepStrictEqual([peers.firstVideos, forwarder.lastVideoAt], [0, undefined])
    push(video(1))
    push(video(2))
    assert.strictEqual(peers.firstVideos, 1)
    assert.isDefined(forwarder.lastVideoAt)
  })

  it("gives the time of the last video by the wall clock, also after that was set", () => {
    const { forwarder, push } = setUp()
    const newYear = Date.UTC(2030, 0)
    vi.useFakeTimers({ now: newYear, toFake: ["Date"] })
    push(video(1))
    vi.useRealTimers()
    assert.strictEqual(forwarder.lastVideoAt, newYear)
  })

  it("counts the gaps of each track separately", () => {
    const { forwarder, push } = setUp()
    push(video(65_534), sound(10), video(65_535), sound(11), video(2), sound(13))
    assert.deepStrictEqual(
      forwarder.receptions.map(({ lost }) => lost),
      [2, 1]
    )
    assert.strictEqual(forwarder.lost, 3)
  })

  describe("with a media server that reads nothing", () => {
    const keyframe = [0x65, 0x88] as const
    const full = PacketForwarder.highWater + 1

    /** A forwarder that has just begun to drop. */
    const dropping = () => {
      const all = setUp()
      all.peers.unsent = full
      // this one still goes; that too much waits is seen behind it
      all.push(video(1))
      assert.isTrue(all.forwarder.isDropping)
      all.sent.length = 0
      return all
    }

    it("drops whole packets of every track, and counts them", () => {
      const { forwarder, push, sent } = dropping()
      push(video(2, false), sound(1), report(), video(3))
      push(video(4, true, ...keyframe))
      assert.strictEqual(sent.length, 0)
      assert.deepStrictEqual([forwarder.dropped, forwarder.packets], [5, 1])
    })

    it("resumes at a keyframe, and only when most of the queue is sent", () => {
      const { peers, forwarder, push, sent } = dropping()
      peers.unsent = PacketForwarder.lowWater + 1
      push(video(2, true, ...keyframe))
      peers.unsent = PacketForwarder.lowWater
      push(video(3), sound(1), report())
      // a later slice of a picture is no place to begin
      push(video(4, false, 0x65, 0x42))
      assert.strictEqual(sent.length, 0)
      assert.strictEqual(forwarder.dropped, 5)
      push(video(5, false, 0x67, 0x42), video(6, true, ...keyframe), sound(2))
      push(video(7))
      assert.isFalse(forwarder.isDropping)
      assert.strictEqual(forwarder.dropped, 5)
      assert.isTrue(
        Buffer.concat(sent).equals(
          Buffer.concat([
            moved(video(5, false, 0x67, 0x42), server[0][0]),
            moved(video(6, true, ...keyframe), server[0][0]),
            moved(sound(2), server[1][0]),
            moved(video(7), server[0][0])
          ])
        )
      )
    })

    it.each([
      ["without slice data", [0x7c, 0x85]],
      ["that is the only one", [0x7c, 0xc5, 0x88]],
      ["with the reserved bit", [0x7c, 0xa5, 0x88]]
    ] as const)("goes on at the first fragment of an IDR slice %s", (_, fragment) => {
      const all = setUp()
      all.peers.unsent = PacketForwarder.highWater + 1
      all.push(video(1))
      all.push(video(2))
      assert.isTrue(all.forwarder.isDropping)
      all.peers.unsent = 0
      all.push(video(3), video(4, false, ...fragment), video(5, true, 0x7c, 0x45, 1))
      assert.isFalse(all.forwarder.isDropping)
      assert.strictEqual(all.forwarder.packets, 3)
    })

    it("resumes at the picture of a keyframe whose parameter sets were dropped", () => {
      const { forwarder, peers, push, sent } = dropping()
      const first = video(4, false, 0x7c, 0x85, 0x88)
      const last = video(5, true, 0x7c, 0x45, 1)
      push(video(2, false, 0x67, 0x42), video(3, false, 0x68, 0xce))
      peers.unsent = 0
      push(first, last)
      assert.strictEqual(forwarder.dropped, 2)
      assert.isTrue(
        Buffer.concat(sent).equals(
          Buffer.concat([moved(first, server[0][0]), moved(last, server[0][0])])
        )
      )
    })

    it("resumes with any picture when no keyframe comes for a minute", () => {
      const { peers, forwarder, push } = dropping()
      const startedAt = performance.now()
      const clock = vi.spyOn(performance, "now")
      const pushAt = (ms: number) => {
        clock.mockReturnValue(startedAt + ms)
        push(sound(1), video(2))
      }
      pushAt(120_000)
      peers.unsent = 0
      pushAt(120_001)
      pushAt(180_000)
      assert.isTrue(forwarder.isDropping)
      // too much waits again, so the minute begins anew
      peers.unsent = full
      pushAt(180_001)
      peers.unsent = 0
      pushAt(180_002)
      pushAt(240_001)
      assert.isTrue(forwarder.isDropping)
      pushAt(240_002)
      assert.isFalse(forwarder.isDropping)
      clock.mockRestore()
    })

    it("continues in the middle of a chunk", () => {
      const { peers, push, sent } = dropping()
      peers.unsent = 0
      push(sound(1), video(2), sound(2), video(3, true, ...keyframe), sound(3))
      assert.isTrue(
        Buffer.concat(sent).equals(
          Buffer.concat([
            moved(video(3, true, ...keyframe), server[0][0]),
            moved(sound(3), server[1][0])
          ])
        )
      )
    })

    it("still counts the gaps and pictures of the camera", () => {
      const { forwarder, push } = dropping()
      const later = (forwarder.lastVideoAt ?? 0) + 7000
      const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 7000)
      vi.useFakeTimers({ now: later, toFake: ["Date"] })
      assert.isAtLeast(forwarder.silentMs, 7000)
      push(video(5))
      vi.useRealTimers()
      assert.strictEqual(forwarder.lost, 3)
      assert.strictEqual(forwarder.lastVideoAt, later)
      assert.strictEqual(forwarder.silentMs, 0)
      clock.mockRestore()
    })
  })
})
