/** Cameras that send without end what is neither media nor a response: they must not take the CPU time of others. */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { InterleavedFrame, Rtp } from "@restream/core/rtsp"
import { RtspServer } from "@restream/core/testing"
import { Effect } from "effect"
import type { Socket } from "node:net"
import { scripted } from "../../kit/ScriptedServer.ts"
import { camera, job, probe, startRelay } from "../Streams.ts"

const engine = NativeEngine.make({ openTimeout: "1 minute" })

/** Sends the same bytes for as long as the other side reads them. */
const flood = (socket: Socket, bytes: Buffer): void => {
  const send = () => {
    while (!socket.destroyed && socket.write(bytes));
  }
  socket.on("drain", send)
  send()
}

const useless: ReadonlyArray<readonly [what: string, bytes: string]> = [
  ["provisional responses", "RTSP/1.0 100 Continue\r\n\r\n"],
  ["responses to no request", "RTSP/1.0 200 OK\r\nCSeq: 99999\r\n\r\n"],
  ["requests", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n"],
  ["requests with a body", "SET_PARAMETER * RTSP/1.0\r\nContent-Length: 4\r\n\r\nabcd"],
  ["line feeds", "\n"],
  ["line feeds and provisional responses", `${"\r\n".repeat(5_000)}RTSP/1.0 100 Continue\r\n\r\n`]
]

/** Whatever may be in the buffers of the kernel: so much was sent, and never read. */
const inBuffers = 16_777_216

describe("the native engine, with a hostile camera,", () => {
  it.live.each(useless)("gives up a probe of a camera that sends %s without end", ([what, text]) =>
    Effect.gen(function* () {
      const bytes = Buffer.from(text.repeat(Math.ceil(20_000 / text.length)))
      // a known sequence number would be the response
      const answersLate = what === "responses to no request"
      const sockets: Array<Socket> = []
      const { port } = yield* scripted((_, socket, exchange) => {
        sockets.push(socket)
        if (answersLate)
          socket.write(
            `RTSP/1.0 401 no\r\nCSeq: ${exchange}\r\nWWW-Authenticate: Basic realm="a"\r\n\r\n`
          )
        flood(socket, bytes)
      })
      const error = yield* Effect.flip(probe(engine, camera(`rtsp://127.0.0.1:${port}/cam`)))
      assert.include(["ProtocolError", "Unauthorized"], error.reason._tag)
      for (const socket of sockets) assert.isBelow(socket.bytesWritten, inBuffers)
    })
  )

  const sdp = [
    "v=0",
    "m=video 0 RTP/AVP 96",
    "a=rtpmap:96 H264/90000",
    "a=control:track0",
    ""
  ].join("\r\n")

  /** Answers as a camera with one video track does, and gives the request's method. */
  const answer = (request: string, socket: Socket, exchange: string) => {
    const method = request.split(" ", 1)[0]
    const head = `RTSP/1.0 200 OK\r\nCSeq: ${exchange}\r\nSession: 1\r\n`
    if (method === "DESCRIBE") {
      socket.write(`${head}Content-Length: ${sdp.length}\r\n\r\n${sdp}`)
    } else if (method === "SETUP") {
      socket.write(`${head}Transport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n`)
    } else {
      socket.write(`${head}\r\n`)
    }
    return method
  }

  it.live.each(useless.filter(([what]) => what !== "responses to no request"))(
    "ends a relay that gets %s without end, with media in between",
    ([, text]) =>
      Effect.gen(function* () {
        const sink = yield* RtspServer.make()
        const frame = InterleavedFrame.make(
          0,
          Rtp.make(
            { marker: true, payloadType: 96, sequence: 1, timestamp: 0, ssrc: 1 },
            Buffer.concat([Buffer.from([0x65]), Buffer.alloc(200, 0x88)])
          )
        )
        const junk = Buffer.from(text.repeat(Math.ceil(20_000 / text.length)))
        const { port } = yield* scripted((request, socket, exchange) => {
          if (answer(request, socket, exchange) === "PLAY")
            flood(socket, Buffer.concat([frame, junk]))
        })
        const relay = yield* startRelay(
          engine,
          job(`rtsp://127.0.0.1:${port}/cam`, sink.url("out"))
        )
        const { reason } = yield* Effect.flip(relay.ended)
        assert.strictEqual(reason._tag, "ProtocolError")
      })
  )

  it.live("continues with a camera that sends requests among its media", () =>
    Effect.gen(function* () {
      const sink = yield* RtspServer.make()
      let sent = 0
      const { port } = yield* scripted((request, socket, exchange) => {
        if (answer(request, socket, exchange) !== "PLAY") return
        // ten requests a second, at 4 Mbit/s
        const second = Buffer.concat(
          Array.from({ length: 500 }, (_, index) => {
            const packet = Rtp.make(
              {
                marker: true,
                payloadType: 96,
                sequence: index,
                timestamp: index * 3_600,
                ssrc: 1
              },
              Buffer.concat([Buffer.from([0x65]), Buffer.alloc(1_000, 0x88)])
            )
            const frame = InterleavedFrame.make(0, packet)
            return index % 50 === 0
              ? Buffer.concat([frame, Buffer.from("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")])
              : frame
          })
        )
        const send = () => {
          while (sent < 100 && !socket.destroyed) {
            sent++
            if (!socket.write(second)) return void socket.once("drain", send)
          }
        }
        send()
      })
      const relay = yield* startRelay(engine, job(`rtsp://127.0.0.1:${port}/cam`, sink.url("out")))
      yield* Effect.repeat(Effect.sync(() => relay.counters()).pipe(Effect.delay("20 millis")), {
        until: ({ dropped, packets }) => packets + dropped >= 50_000
      })
    })
  )
})
