import { assert, describe, it } from "@effect/vitest"
import { Process } from "@restream/core"
import * as fc from "fast-check"
import { heldBytes } from "../kit/Memory.ts"

const { OutputTail } = Process

const bytes = (text: string) => new TextEncoder().encode(text)

/** What is kept of texts that are written one after the other. */
const kept = (pieces: Iterable<string>, limits?: Process.OutputTail.OutputTailOptions) => {
  const transcript = OutputTail.make(limits)
  for (const piece of pieces) transcript.push(bytes(piece))
  return transcript.lines()
}

/** Lines with their number, so that a wrong or a torn one shows. */
const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => `<line ${index} ${"x".repeat(index % 40)}>`)

describe("OutputTail", () => {
  it("keeps short output whole", () => {
    assert.deepStrictEqual(kept(["one\ntw", "o\r\n\n", "three\rfo", "ur"]), [
      "one",
      "two",
      "three",
      "four"
    ])
  })

  it("keeps the start and the end of long output, in whole lines", () => {
    const all = numbered(5000)
    const lines = kept(
      all.map((line) => `${line}\n`),
      { headBytes: 200, tailBytes: 300 }
    )
    const torn = lines.findIndex((line, index) => line !== all[index])
    assert.isAbove(torn, 0)
    const tail = lines.slice(torn)
    assert.isAbove(tail.length, 0)
    assert.deepStrictEqual(tail, all.slice(-tail.length))
  })

  it("keeps lines in their order, with chunks of any size", () => {
    const limits = fc.record({
      headBytes: fc.integer({ min: 0, max: 300 }),
      tailBytes: fc.integer({ min: 1, max: 300 })
    })
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.array(fc.integer({ min: 1, max: 400 })),
        limits,
        (count, lengths, limits) => {
          const all = numbered(count)
          const text = all.map((line) => `${line}\n`).join("")
          const pieces: Array<string> = []
          let at = 0
          for (const length of lengths) pieces.push(text.slice(at, (at += length)))
          pieces.push(text.slice(at))
          const lines = kept(pieces, limits)
          const places = lines.map((line) => all.indexOf(line))
          assert.notInclude(places, -1)
          assert.deepStrictEqual(
            places,
            [...new Set(places)].sort((a, b) => a - b)
          )
          assert.isAtMost(lines.join("").length, limits.headBytes + limits.tailBytes)
          if (text.length <= limits.headBytes + limits.tailBytes) assert.deepStrictEqual(lines, all)
        }
      )
    )
  })

  it("keeps nothing of a line without an end", () => {
    const secret = "rtsp://admin:verysecret@10.0.0.5/"
    const lines = kept(
      Array.from({ length: 1000 }, () => secret),
      { headBytes: 100, tailBytes: 100 }
    )
    assert.deepStrictEqual(lines, [])
  })

  it("releases the memory of dropped lines", () => {
    const transcript = OutputTail.make()
    const before = heldBytes()
    // a view of the last chunk would keep all of it
    for (let i = 0; i < 10; i++) transcript.push(new Uint8Array(16_000_000).fill(65))
    assert.isBelow(heldBytes() - before, 8_000_000)
    transcript.push(bytes("\nthe end\n"))
    assert.deepStrictEqual(transcript.lines().slice(-1), ["the end"])
  })
})
