import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { InterleavedFrame, Framer, Message } from "@restream/core/rtsp"
import { cutAt, holds } from "./Fuzz.ts"

interface Seen {
  readonly frames: Array<readonly [channel: number, packet: string]>
  readonly messages: Array<Message.Message>
  readonly faults: Array<string>
  skipped: number
  failed: number
  runs: number
}

const observe = (): { readonly framer: Framer.Framer; readonly seen: Seen } => {
  const seen: Seen = { frames: [], messages: [], faults: [], skipped: 0, failed: 0, runs: 0 }
  const framer = new Framer.Framer({
    frames: (bytes, start, end) => {
      seen.runs++
      for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
        assert.strictEqual(bytes[at], InterleavedFrame.dollar)
        seen.frames.push([
          InterleavedFrame.channel(bytes, at),
          bytes.toString("hex", InterleavedFrame.packetStart(at), InterleavedFrame.end(bytes, at))
        ])
      }
    },
    message: (message) => {
      seen.messages.push({ ...message, body: Buffer.from(message.body) })
    },
    skipped: (bytes, fault) => {
      seen.skipped += bytes
      if (fault !== undefined) seen.faults.push(fault.detail)
    },
    failed: () => {
      seen.failed++
    }
  })
  return { framer, seen }
}

/** Pushes chunks through memory that is overwritten after each call, as `onread` does. */
const pushReused = (framer: Framer.Framer, chunks: ReadonlyArray<Buffer>): void => {
  const shared = Buffer.alloc(Math.max(1, ...chunks.map((chunk) => chunk.length)))
  for (const chunk of chunks) {
    chunk.copy(shared)
    framer.push(shared.subarray(0, chunk.length), true)
    shared.fill(0x24)
  }
}

const rtp = (fill: number, length: number): Buffer => {
  const packet = Buffer.alloc(12 + length, fill)
  packet[0] = 0x80
  return packet
}

const response = (body = ""): Message.Response => ({
  _tag: "Response",
  status: 200,
  reason: "OK",
  headers: [
    ["CSeq", "3"],
    ...(body === "" ? [] : [["Content-Length", String(body.length)] as const])
  ],
  body: Buffer.from(body)
})

const options: Message.Request = {
  _tag: "Request",
  method: "OPTIONS",
  uri: "rtsp://h/",
  headers: [["CSeq", "9"]],
  body: Buffer.alloc(0)
}

describe("Framer", () => {
  it("passes the whole frames of a chunk as one run, in place", () => {
    const chunk = Buffer.concat([1, 2, 3].map((n) => InterleavedFrame.make(n, rtp(n, 100))))
    const runs: Array<readonly [Buffer, number, number, boolean]> = []
    const framer = new Framer.Framer({
      frames: (...run) => runs.push(run),
      message: () => assert.fail("no message"),
      skipped: () => assert.fail("no garbage"),
      failed: () => assert.fail("no fault")
    })
    framer.push(chunk, true)
    assert.strictEqual(runs.length, 1)
    assert.strictEqual(runs[0]?.[0], chunk)
    assert.deepStrictEqual(runs[0]?.slice(1), [0, chunk.length, true])
  })

  it("copies a split frame, and passes it as a run of one", () => {
    const whole = Buffer.concat([
      InterleavedFrame.make(0, rtp(1, 50)),
      InterleavedFrame.make(0, rtp(2, 50))
    ])
    const reuse: Array<boolean> = []
    const framer = new Framer.Framer({
      frames: (bytes, start, end, reused) => {
        reuse.push(reused)
        if (!reused) assert.deepStrictEqual([start, end], [0, bytes.length])
      },
      message: () => assert.fail("no message"),
      skipped: () => assert.fail("no garbage"),
      failed: () => assert.fail("no fault")
    })
    framer.push(whole.subarray(0, 80), true)
    framer.push(whole.subarray(80), true)
    assert.deepStrictEqual(reuse, [true, false])
  })

  it("lets the caller change channels in place", () => {
    const chunk = InterleavedFrame.make(4, rtp(1, 10))
    const framer = new Framer.Framer({
      frames: (bytes, start) => InterleavedFrame.setChannel(bytes, start, 2),
      message: () => assert.fail("no message"),
      skipped: () => assert.fail("no garbage"),
      failed: () => assert.fail("no fault")
    })
    framer.push(chunk)
    assert.deepStrictEqual(chunk, InterleavedFrame.make(2, rtp(1, 10)))
  })

  it("passes empty frames and frames of maximum length", () => {
    const { framer, seen } = observe()
    framer.push(
      Buffer.concat([
        InterleavedFrame.make(0, Buffer.alloc(0)),
        InterleavedFrame.make(1, rtp(5, 65_523))
      ])
    )
    assert.deepStrictEqual(
      seen.frames.map(([channel, packet]) => [channel, packet.length / 2]),
      [
        [0, 0],
        [1, 65_535]
      ]
    )
  })

  it("finds a message between frames, and continues after its body", () => {
    const { framer, seen } = observe()
    framer.push(
      Buffer.concat([
        InterleavedFrame.make(0, rtp(1, 20)),
        Message.render(response("v=0\r\n$\0\0\0")),
        Buffer.from("\r\n"),
        InterleavedFrame.make(0, rtp(2, 20)),
        Message.render(options)
      ])
    )
    assert.strictEqual(seen.frames.length, 2)
    assert.deepStrictEqual(seen.messages, [response("v=0\r\n$\0\0\0"), options])
    assert.strictEqual(seen.skipped, 0)
  })

  it("finds the next frame after garbage", () => {
    const { framer, seen } = observe()
    const garbage = Buffer.from([0, 1, 0xff, 0x24, 0x99, 0, 4, 0x24, 0x24])
    framer.push(
      Buffer.concat([
        InterleavedFrame.make(0, rtp(1, 20)),
        garbage,
        InterleavedFrame.make(2, rtp(2, 20)),
        InterleavedFrame.make(2, rtp(3, 20))
      ])
    )
    assert.deepStrictEqual(
      seen.frames.map(([channel]) => channel),
      [0, 2, 2]
    )
    assert.strictEqual(seen.skipped, garbage.length)
  })

  it("ignores implausible frames within garbage", () => {
    const lookalikes: ReadonlyArray<readonly [what: string, frame: Buffer]> = [
      ["a channel that nobody has", InterleavedFrame.make(77, rtp(1, 20))],
      ["too short", InterleavedFrame.make(0, Buffer.from([0x80, 0, 0]))],
      ["another version", InterleavedFrame.make(0, Buffer.alloc(20))],
      [
        "followed by nothing sensible",
        Buffer.concat([InterleavedFrame.make(0, rtp(1, 20)), Buffer.from([0])])
      ]
    ]
    for (const [what, frame] of lookalikes) {
      const { framer, seen } = observe()
      framer.push(Buffer.concat([Buffer.from([0xff]), frame, InterleavedFrame.make(4, rtp(2, 20))]))
      assert.deepStrictEqual(
        seen.frames.map(([channel]) => channel),
        [4],
        what
      )
    }
  })

  it("finds the next frame after garbage that starts like a message", () => {
    const { framer, seen } = observe()
    framer.push(
      Buffer.concat([Buffer.from("PLAY rtsp://h/ RT"), InterleavedFrame.make(0, rtp(1, 20))])
    )
    assert.strictEqual(seen.frames.length, 1)
    assert.deepStrictEqual(seen.faults, ["binary data in the head of a message"])
  })

  it("finds the next message after an invalid message", () => {
    const { framer, seen } = observe()
    framer.push(
      Buffer.concat([
        Buffer.from("RTSP/1.0 abc OK\r\nCSeq: 1\r\n\r\n"),
        Message.render(response()),
        Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Message.render(options)
      ])
    )
    assert.deepStrictEqual(seen.messages, [response(), options])
    assert.strictEqual(seen.faults.length, 2)
    assert.include(seen.faults[1], "HTTP")
  })

  it("never holds more than a head, however slowly its bytes arrive", () => {
    const { framer, seen } = observe()
    framer.push(Buffer.from("RTSP/1.0 200 OK\r\n"))
    const drop = Buffer.from("X")
    let most = 0
    for (let i = 0; i < 2 * Message.maxHeadBytes; i++) {
      framer.push(drop)
      most = Math.max(most, framer.held)
    }
    assert.isAtMost(most, Message.maxHeadBytes)
    assert.include(seen.faults[0], "longer than")
  })

  it("rejects a body above the limit without waiting for it", () => {
    const { framer, seen } = observe()
    framer.push(
      Buffer.from(`RTSP/1.0 200 OK\r\nContent-Length: ${Message.maxBodyBytes + 1}\r\n\r\n`)
    )
    assert.strictEqual(framer.held, 0)
    assert.include(seen.faults[0], "body is longer")
  })

  it("gives up after too much garbage, once, and ignores further bytes", () => {
    const { framer, seen } = observe()
    const garbage = Buffer.alloc(10_000, 0xab)
    for (let i = 0; i < 60; i++) framer.push(garbage)
    framer.push(InterleavedFrame.make(0, rtp(1, 10)))
    assert.strictEqual(seen.failed, 1)
    assert.strictEqual(seen.frames.length, 0)
    assert.isAtMost(seen.skipped, Framer.maxGarbageBytes + garbage.length)
  })

  it("counts garbage since the last frame", () => {
    const { framer, seen } = observe()
    const garbage = Buffer.alloc(Framer.maxGarbageBytes - 10, 0xab)
    for (let i = 0; i < 3; i++) {
      framer.push(garbage)
      framer.push(InterleavedFrame.make(0, rtp(1, 10)))
    }
    assert.strictEqual(seen.failed, 0)
    assert.strictEqual(seen.frames.length, 3)
  })

  it("counts garbage since the last frame, also if that frame was split", () => {
    const { framer, seen } = observe()
    const garbage = Buffer.alloc(Framer.maxGarbageBytes - 10, 0xab)
    const frame = InterleavedFrame.make(0, rtp(1, 10))
    for (let i = 0; i < 3; i++) {
      framer.push(garbage)
      framer.push(frame.subarray(0, 9))
      framer.push(frame.subarray(9))
    }
    assert.strictEqual(seen.failed, 0)
    assert.strictEqual(seen.frames.length, 3)
  })

  it("counts garbage since the last message", () => {
    const { framer, seen } = observe()
    const garbage = Buffer.alloc(Framer.maxGarbageBytes - 10, 0xab)
    for (let i = 0; i < 3; i++) {
      framer.push(garbage)
      framer.push(Message.render(options))
    }
    assert.strictEqual(seen.failed, 0)
    assert.strictEqual(seen.messages.length, 3)
  })

  it("stops in the middle of a chunk", () => {
    let messages = 0
    const framer: Framer.Framer = new Framer.Framer({
      frames: () => assert.fail("no frame"),
      message: () => {
        messages++
        framer.stop()
      },
      skipped: () => assert.fail("no garbage"),
      failed: () => assert.fail("no fault")
    })
    framer.push(
      Buffer.concat([
        Message.render(options),
        Message.render(options),
        InterleavedFrame.make(0, rtp(1, 1))
      ])
    )
    framer.push(Message.render(options))
    assert.strictEqual(messages, 1)
  })

  /** Starts like a message, and is not a message. */
  const beginnings = ["GET /\x01", "AAA *\x01", "RTSP/\x01", "HTTP/1\n\x01", "PLAY r\n\x01"]

  for (const beginning of beginnings) {
    it(`finds a frame after thousands of ${JSON.stringify(beginning)}`, () => {
      const garbage = Buffer.from(beginning.repeat(Math.floor(65_536 / beginning.length)), "latin1")
      const behind = [Message.render(options), InterleavedFrame.make(1, rtp(1, 30))]
      for (const chunks of [
        [Buffer.concat([garbage, ...behind])],
        [garbage.subarray(0, 2), garbage.subarray(2), ...behind]
      ]) {
        const { framer, seen } = observe()
        pushReused(framer, chunks)
        assert.strictEqual(seen.frames.length + seen.messages.length, 2)
        assert.strictEqual(seen.skipped, garbage.length)
      }
    })
  }

  const frame = fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 60 }))
    .map(([channel, packet]) => InterleavedFrame.make(channel, packet))
  const message = fc.oneof(
    fc.string({ maxLength: 40 }).map((body) => {
      const bytes = Buffer.from(body)
      return Message.render({ ...options, headers: [["CSeq", "1"]], body: bytes })
    }),
    fc.constant(Message.render(response())),
    fc.constant(Buffer.from("RTSP/1.0 200\nCSeq:1\n\n"))
  )
  const cuts = fc.array(fc.nat(), { maxLength: 30 })

  it("finds the same frames and messages in any split into chunks", () => {
    holds(
      fc.property(fc.array(fc.oneof(frame, message), { maxLength: 12 }), cuts, (parts, cuts) => {
        const bytes = Buffer.concat(parts)
        const whole = observe()
        whole.framer.push(Buffer.from(bytes))
        const cut = observe()
        pushReused(cut.framer, cutAt(bytes, cuts))
        assert.deepStrictEqual({ ...cut.seen, runs: 0 }, { ...whole.seen, runs: 0 })
        assert.strictEqual(whole.seen.frames.length + whole.seen.messages.length, parts.length)
        assert.strictEqual(whole.seen.skipped, 0)
        assert.strictEqual(cut.framer.held, 0)
      })
    )
  })

  it("handles any bytes in any chunks without throwing, hanging, or growing", () => {
    const spice = fc.constantFrom(
      "$",
      "RTSP/1.0 ",
      "PLAY rtsp://",
      "\r\n\r\n",
      "Content-Length: 5\r\n"
    )
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc
        .tuple(fc.constantFrom(...beginnings), fc.integer({ min: 1, max: 500 }))
        .map(([beginning, times]) => Buffer.from(beginning.repeat(times), "latin1")),
      spice.map((text) => Buffer.from(text)),
      frame
    )
    holds(
      fc.property(fc.array(piece, { maxLength: 20 }), cuts, (pieces, cuts) => {
        const { framer, seen } = observe()
        const bytes = Buffer.concat(pieces)
        pushReused(framer, cutAt(bytes, cuts))
        const framed = seen.frames.reduce((sum, [, packet]) => sum + 4 + packet.length / 2, 0)
        assert.isAtMost(framed + seen.skipped + framer.held, bytes.length)
        assert.isAtMost(framer.held, InterleavedFrame.headerBytes + 0xffff)
      })
    )
  })

  it("resynchronizes after garbage in any split into chunks", () => {
    // garbage without `$` and capital letters cannot be taken for a frame or a message
    const garbage = fc
      .uint8Array({ minLength: 1, maxLength: 100 })
      .map((bytes) => Buffer.from(bytes.map((byte) => byte | 0x80)))
    holds(
      fc.property(garbage, cuts, fc.integer({ min: 1, max: 31 }), (garbage, cuts, channel) => {
        const frames = [1, 2, 3].map((n) => InterleavedFrame.make(channel, rtp(n, 30)))
        const { framer, seen } = observe()
        pushReused(framer, cutAt(Buffer.concat([garbage, ...frames]), cuts))
        assert.strictEqual(seen.frames.length, 3)
        assert.strictEqual(seen.skipped, garbage.length)
      })
    )
  })
})
