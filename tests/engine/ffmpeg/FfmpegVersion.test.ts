import { assert, describe, it } from "@effect/vitest"
import { Ffmpeg } from "@restream/core"
import * as fc from "fast-check"
import { banners } from "./banners.ts"

const { isAtLeast, isSevenZero, parse } = Ffmpeg.FfmpegVersion
type FfmpegVersion = Ffmpeg.FfmpegVersion.FfmpegVersion

const version = (...libavformat: readonly [number, number]): FfmpegVersion => ({
  name: "any",
  libavformat
})

describe("FfmpegVersion", () => {
  it("reads the banners of releases, distributions and builds from git", () => {
    assert.deepStrictEqual(
      Object.values(banners).map((banner) => parse(banner)),
      [
        { name: "N-47683-g0e8eb07980-static", libavformat: [58, 24] },
        { name: "4.0.2-static", libavformat: [58, 12] },
        { name: "5.1.9-0+deb12u1", libavformat: [59, 27] },
        { name: "N-66595-gc2b38619c0-static", libavformat: [60, 10] },
        { name: "7.0.2-static", libavformat: [61, 1] },
        { name: "7.1.1", libavformat: [61, 7] },
        { name: "n8.0-23-gd1f31a829d-20251022", libavformat: [62, 3] }
      ]
    )
  })

  it("uses the version of the library that it runs with, not of the one that it was built with", () => {
    const banner = "ffmpeg version 4.4.1 Copyright\nlibavformat    58. 76.100 / 59. 27.100\n"
    assert.deepStrictEqual(parse(banner)?.libavformat, [59, 27])
  })

  it("uses the release where the banner names no library", () => {
    assert.deepStrictEqual(
      parse("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright\n")?.libavformat,
      [58, 0]
    )
    assert.deepStrictEqual(parse("ffprobe version n6.1.1 Copyright\n")?.libavformat, [60, 0])
  })

  it("recognizes no other program as ffmpeg", () => {
    assert.isUndefined(parse(""))
    assert.isUndefined(parse("GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\n"))
    assert.isUndefined(parse("ffmpeg version N-1-gabc Copyright\n"))
    assert.isUndefined(parse("ffplay version 5.1.9\nlibavformat    59. 27.100 / 59. 27.100\n"))
  })

  it("never throws on any text", () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...Object.values(banners)), (noise, banner) => {
        parse(noise)
        parse(noise + banner)
        assert.deepStrictEqual(parse(banner + noise)?.name, parse(banner)?.name)
      })
    )
  })

  it("compares by the major number first", () => {
    assert.isTrue(isAtLeast(version(59, 0), 59))
    assert.isTrue(isAtLeast(version(60, 0), 59, 27))
    assert.isTrue(isAtLeast(version(59, 27), 59, 27))
    assert.isFalse(isAtLeast(version(59, 26), 59, 27))
    assert.isFalse(isAtLeast(version(58, 99), 59))
  })

  it("distinguishes 7.0 from 7.1", () => {
    assert.deepStrictEqual(
      Object.values(banners).map((banner) => isSevenZero(parse(banner)!)),
      [false, false, false, false, true, false, false]
    )
  })
})
