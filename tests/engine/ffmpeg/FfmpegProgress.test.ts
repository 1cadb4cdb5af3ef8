import { assert, describe, it } from "@effect/vitest"
import { Ffmpeg } from "@restream/core"
import * as fc from "fast-check"

const { emptyMeter, initial, isBlind, measure, parse } = Ffmpeg.FfmpegProgress
type Meter = Ffmpeg.FfmpegProgress.Meter
type Progress = Ffmpeg.FfmpegProgress.Progress

/** A block as ffmpeg 5.1 writes it for an RTSP output. */
const real = `frame=18
fps=13.01
stream_0_0_q=-1.0
bitrate=N/A
total_size=N/A
out_time_us=2693515
out_time_ms=2693515
out_time=00:00:02.693515
dup_frames=0
drop_frames=0
speed=1.74x
progress=continue
`

const parseAll = (pieces: ReadonlyArray<string>): ReadonlyArray<Progress> => {
  let state = initial
  return pieces.flatMap((piece) => {
    const parsed = parse(state, piece)
    state = parsed.state
    return parsed.blocks
  })
}

const wholeOrNot = fc.option(fc.nat(), { nil: undefined })

const block: fc.Arbitrary<Progress> = fc.record({
  frame: wholeOrNot,
  totalSize: wholeOrNot,
  outTimeUs: fc.option(fc.integer(), { nil: undefined }),
  isLast: fc.boolean()
})

const written = (progress: Progress, noise: string): string =>
  [
    ...(progress.frame === undefined ? [] : [`frame=${progress.frame}`]),
    noise,
    `total_size=${progress.totalSize ?? "N/A"}`,
    `out_time_us=${progress.outTimeUs ?? "N/A"}`,
    `progress=${progress.isLast ? "end" : "continue"}`,
    ""
  ].join("\n")

/** Anything on a line of its own that is none of the keys. */
const noise = fc
  .string({ maxLength: 2000 })
  .map((text) => text.replaceAll("\n", " "))
  .filter((text) => !/^\s*(frame|total_size|out_time_us|progress)\s*=/.test(text))

/** Cuts a text at any places. */
const cut = (text: string, places: ReadonlyArray<number>): ReadonlyArray<string> => {
  const at = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, index) => text.slice(start, at[index] ?? text.length))
}

describe("FfmpegProgress", () => {
  it("reads a block of a real ffmpeg", () => {
    assert.deepStrictEqual(parseAll([real]), [
      { frame: 18, totalSize: undefined, outTimeUs: 2_693_515, isLast: false }
    ])
  })

  it("reads blocks between garbage, cut anywhere", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(block, noise), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (blocks, places) => {
          const text = blocks.map(([progress, noise]) => written(progress, noise)).join("")
          assert.deepStrictEqual(
            parseAll(cut(text, places)),
            blocks.map(([progress]) => progress)
          )
        }
      )
    )
  })

  it("carries nothing from one block into the next", () => {
    assert.deepStrictEqual(parseAll(["frame=3\nprogress=continue\nprogress=end\n"])[1], {
      frame: undefined,
      totalSize: undefined,
      outTimeUs: undefined,
      isLast: true
    })
  })

  it("gives no block before its last line is whole", () => {
    assert.deepStrictEqual(parseAll(["frame=3\nprogress=contin"]), [])
    assert.lengthOf(parseAll(["frame=3\nprogress=contin", "ue\n"]), 1)
  })

  it("keeps no line that never ends", () => {
    let state = initial
    for (let i = 0; i < 100; i++) state = parse(state, "x".repeat(10_000)).state
    assert.isAtMost(state.rest.length, 1024)
    assert.deepStrictEqual(parse(state, "\nframe=1\nprogress=continue\n").blocks[0]?.frame, 1)
  })
})

describe("the meter", () => {
  const meterOf = (blocks: ReadonlyArray<Partial<Progress>>) => {
    let meter: Meter = emptyMeter
    const advances = blocks.map((partial) => {
      const measured = measure(meter, {
        frame: undefined,
        totalSize: undefined,
        outTimeUs: undefined,
        isLast: false,
        ...partial
      })
      meter = measured.meter
      return measured.hasAdvanced
    })
    return { meter, advances }
  }

  it("counts an increase of frames, and not lines", () => {
    assert.deepStrictEqual(
      meterOf([{ frame: 0 }, { frame: 1 }, { frame: 1 }, { frame: 1 }, { frame: 2 }]).advances,
      [false, true, false, false, true]
    )
  })

  it("counts no audio while the video is frozen", () => {
    const blocks = [1, 2, 3].map((second) => ({
      frame: 30,
      totalSize: second * 1000,
      outTimeUs: second * 1_000_000
    }))
    assert.deepStrictEqual(meterOf(blocks).advances, [true, false, false])
  })

  it("uses bytes, or else time, only while no frames were ever reported", () => {
    assert.deepStrictEqual(
      meterOf([{ totalSize: 0 }, { totalSize: 9 }, { totalSize: 9 }]).advances,
      [false, true, false]
    )
    assert.deepStrictEqual(
      meterOf([{ outTimeUs: 5 }, { outTimeUs: 5 }, { outTimeUs: 6 }]).advances,
      [true, false, true]
    )
    assert.deepStrictEqual(
      meterOf([{ outTimeUs: 5 }, { frame: 1, outTimeUs: 6 }, { outTimeUs: 7 }]).advances,
      [true, true, false]
    )
  })

  it("never decreases with any input", () => {
    fc.assert(
      fc.property(fc.array(block), (blocks) => {
        let last: Meter = emptyMeter
        for (const progress of blocks) {
          const { hasAdvanced, meter } = measure(last, progress)
          assert.isAtLeast(meter.frames, last.frames)
          assert.isAtLeast(meter.bytes, last.bytes)
          assert.isAtLeast(meter.outTimeUs, last.outTimeUs)
          assert.isFalse(measure(meter, progress).hasAdvanced)
          if (hasAdvanced) assert.notDeepEqual(meter, last)
          last = meter
        }
      })
    )
  })

  it("reports that nothing was received", () => {
    assert.isTrue(isBlind(meterOf([{}, {}]).meter))
    assert.isFalse(isBlind(meterOf([{ frame: 0 }]).meter))
    assert.isFalse(isBlind(meterOf([{ outTimeUs: 1 }, {}]).meter))
  })
})

describe("a block from before the output is open", () => {
  // ffmpeg 2018, while it waits for audio to transcode
  const waiting = "frame=15\ntotal_size=N/A\nout_time_us=-9223372036854775807\nprogress=continue\n"

  it("counts no frames, which are only queued", () => {
    const { blocks } = Ffmpeg.FfmpegProgress.parse(Ffmpeg.FfmpegProgress.initial, waiting)
    assert.lengthOf(blocks, 1)
    for (const block of blocks) {
      assert.isFalse(Ffmpeg.FfmpegProgress.isWriting(block))
      assert.isFalse(
        Ffmpeg.FfmpegProgress.measure(Ffmpeg.FfmpegProgress.emptyMeter, block).hasAdvanced
      )
    }
  })
})
