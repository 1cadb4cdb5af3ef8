import { assert, describe, it } from "@effect/vitest"
import { KeyframeTap, mp4Of, NativeEngine } from "@restream/core"
import { Rtp } from "@restream/core/rtsp"
import { RtspServer } from "@restream/core/testing"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { job, startRelay } from "../engine/Streams.ts"
import { run, start } from "../kit/Spawn.ts"
import { ffmpeg, skipped } from "../rtsp/Peers.ts"

const encoders = spawnSync(ffmpeg, ["-hide_banner", "-encoders"]).stdout.toString()
const quiet = "-nostdin -hide_banner -loglevel error".split(" ")

describe("a keyframe of a relay", () => {
  for (const [codec, encoder] of [
    ["h264", "libx264 -bf 2"],
    ["h264", "libx264 -tune zerolatency -x264-params slices=4"],
    ["hevc", "libx265 -x265-params log-level=error:bframes=0:keyint=15:min-keyint=15"]
  ] as const) {
    const canEncode = encoders.includes(encoder.split(" ")[0]!)
    if (!canEncode) skipped(`a picture of ${encoder}`, "this ffmpeg can't encode it")
    it.live.skipIf(!canEncode)(
      `becomes an MP4 of one picture that ffmpeg decodes: ${encoder}`,
      () =>
        Effect.gen(function* () {
          const camera = yield* RtspServer.make()
          const sink = yield* RtspServer.make()
          yield* start(ffmpeg, [
            ...quiet,
            ..."-re -f lavfi -i testsrc=size=320x180:rate=15 -pix_fmt yuv420p -g 15".split(" "),
            ...`-preset ultrafast -c:v ${encoder} -f rtsp -rtsp_transport tcp`.split(" "),
            camera.url("cam")
          ])
          yield* camera.awaitPackets("cam")
          const native = NativeEngine.make({ stallTimeout: "1 minute" })
          const relay = yield* startRelay(native, job(camera.url("cam"), sink.url("out")))
          yield* relay.flowing
          // two who wait for one get the same
          const [keyframe, other] = yield* Effect.all([relay.keyframe!, relay.keyframe!], {
            concurrency: 2
          })
          assert.strictEqual(keyframe, other)
          assert.strictEqual(keyframe!.codec, codec)

          const folder = mkdtempSync(join(tmpdir(), "restream-picture-"))
          yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
          const file = join(folder, "picture.mp4")
          writeFileSync(file, (yield* Effect.promise(() => mp4Of(keyframe!)))!)
          const { code, stderr, stdout } = yield* run(ffmpeg, [
            ...quiet,
            ...`-i ${file} -f framemd5 -`.split(" ")
          ])
          assert.deepStrictEqual([code, stderr], [0, ""])
          assert.include(stdout, "#dimensions 0: 320x180")
          assert.strictEqual(stdout.split("\n").filter((line) => line.startsWith("0,")).length, 1)
        })
    )
  }
})

describe("KeyframeTap", () => {
  const sps = Uint8Array.of(0x67, 0x42, 0x00, 0x1e, 0xaa)
  const pps = Uint8Array.of(0x68, 0xce, 0x3c, 0x80)
  const idr = (size = 4) => Uint8Array.of(0x65, 0x88, ...Array.from({ length: size }, () => 7))
  /** A later slice of the picture: it does not begin with macroblock 0. */
  const laterSlice = Uint8Array.of(0x65, 0x40, 1, 2)
  const inter = Uint8Array.of(0x41, 0x9a, 1, 2)

  const setup = (sets: ReadonlyArray<Uint8Array> = [sps, pps]) => {
    const keyframes: Array<KeyframeTap.Keyframe> = []
    const tap = new KeyframeTap.KeyframeTap("h264", sets, (keyframe) => keyframes.push(keyframe))
    tap.arm()
    let sequence = 65_534
    return {
      tap,
      keyframes,
      units: () => keyframes.map(({ units }) => units.map((unit) => [...unit])),
      /** Sends a packet; `skip` loses that many before it. */
      send: (
        payload: Uint8Array,
        {
          marker = false,
          skip = 0,
          timestamp = 1
        }: { marker?: boolean; skip?: number; timestamp?: number } = {}
      ) => {
        sequence = (sequence + 1 + skip) & 0xffff
        const packet = Rtp.make({ marker, payloadType: 96, sequence, timestamp, ssrc: 1 }, payload)
        tap.take(packet, 0, packet.length)
        // the connection reads the next packet into the same memory
        packet.fill(0xff)
      }
    }
  }
  const bytes = (...units: ReadonlyArray<Uint8Array>) => units.map((unit) => [...unit])

  it("puts the described parameter sets before the slices, across a wrap of the sequence", () => {
    const { send, units } = setup()
    send(inter, { marker: true, timestamp: 0 })
    send(idr())
    send(laterSlice, { marker: true })
    assert.deepStrictEqual(units(), [bytes(sps, pps, idr(), laterSlice)])
  })

  it("prefers the parameter sets of the stream, and is not ended by a marker on them", () => {
    const newer = Uint8Array.of(0x67, 0x64, 0x00, 0x28, 0xbb)
    const { send, units } = setup()
    send(newer, { marker: true })
    send(pps, { marker: true })
    send(idr(), { marker: true })
    assert.deepStrictEqual(units(), [bytes(newer, pps, idr())])
  })

  it("ends a picture without a marker at the next timestamp", () => {
    const { send, units } = setup()
    send(idr())
    send(inter, { timestamp: 2 })
    assert.deepStrictEqual(units(), [bytes(sps, pps, idr())])
  })

  for (const [what, timestamp] of [
    ["within the picture", 1],
    ["at its end", 2]
  ] as const) {
    it(`gives no picture from which a packet was lost ${what}`, () => {
      const { send, units } = setup()
      send(idr())
      send(laterSlice, { skip: 1, marker: true, timestamp })
      assert.deepStrictEqual(units(), [])
      send(idr(9), { marker: true, timestamp: 3 })
      assert.deepStrictEqual(units(), [bytes(sps, pps, idr(9))])
    })
  }

  it("joins fragments and aggregates, and gives no unit whose end is missing", () => {
    const { send, units } = setup([])
    const aggregate = Uint8Array.of(0x78, 0, sps.length, ...sps, 0, pps.length, ...pps)
    send(aggregate)
    send(Uint8Array.of(0x7c, 0x85, 0x88, 1))
    send(Uint8Array.of(0x7c, 0x05, 2))
    send(Uint8Array.of(0x7c, 0x45, 3), { marker: true })
    assert.deepStrictEqual(units(), [bytes(sps, pps, Uint8Array.of(0x65, 0x88, 1, 2, 3))])
    send(Uint8Array.of(0x7c, 0x85, 0x88, 1), { timestamp: 2 })
    send(inter, { timestamp: 3, marker: true })
    assert.strictEqual(units().length, 1)
  })

  it("gives nothing without parameter sets, beyond 4 MB, or when it is not armed", () => {
    const without = setup([])
    without.send(idr(), { marker: true })
    const large = setup()
    for (let i = 0; i < 70; i++) {
      large.send(i === 0 ? idr(65_000) : Uint8Array.of(...laterSlice, ...new Uint8Array(65_000)), {
        marker: i === 69
      })
    }
    const disarmed = setup()
    disarmed.send(idr())
    disarmed.tap.disarm()
    assert.isFalse(disarmed.tap.isArmed)
    disarmed.tap.arm()
    disarmed.send(laterSlice, { marker: true })
    for (const { keyframes } of [without, large, disarmed]) assert.deepStrictEqual(keyframes, [])
  })
})
