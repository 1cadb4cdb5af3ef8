/**
 * A media server that takes too little, or nothing: a real process, stopped in its tracks.
 *
 * `FREEZE_SECONDS=60 npx vitest run tests/engine/native/Backpressure.test.ts` is the long run.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import { RtspServer } from "@restream/core/testing"
import { Effect } from "effect"
import { Child } from "../../bench/Child.ts"
import * as ScriptedCamera from "../../kit/ScriptedCamera.ts"
import type { RelayOrder, RelayReport } from "./relay-process.ts"
import type { SinkReport } from "./sink-process.ts"

const freezeSeconds = Number(process.env["FREEZE_SECONDS"] ?? "2")
vi.setConfig({ testTimeout: 120_000 + 2000 * freezeSeconds })

/** H.264 and H.265, each with sound and without. */
const paths = ["h264", "h264-sound", "h265", "h265-sound"] as const

/**
 * The payloads with which a decoder can start, by their first bytes: the parameter sets, or the first fragment
 * of the picture behind them, where room came between the two. The camera sends its keyframes in no other way.
 */
const starts = {
  h264: ["67", "68", "7c85"],
  h265: ["40", "42", "44", "620193"]
}

const begins = (path: string, next: ReadonlyArray<number>): boolean => {
  const bytes = Buffer.from(next).toString("hex")
  return starts[path.startsWith("h264") ? "h264" : "h265"].some((start) => bytes.startsWith(start))
}

/** Per picture and camera; 25 in a second make 10 MB. */
const pictureBytes = 400_000
const pictureMs = 40

const script = (name: string) => new URL(name, import.meta.url).href

const child = <First>(name: string, args: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.promise(() => Child.start<First>(script(name), { args })),
    ({ child: { pid }, child }) =>
      Effect.promise(() => {
        process.kill(pid, "SIGCONT")
        return child.end()
      })
  )

/** Cameras that send much, relays of them in one process, and a server in another. */
const setUp = Effect.fnUntraced(function* () {
  // the cameras' server drops nothing, however long the relays get no processor: each gap is of a relay's making
  const cameras = yield* RtspServer.make({ readerBufferBytes: Number.POSITIVE_INFINITY })
  const hands = yield* Effect.forEach(paths, (path) =>
    ScriptedCamera.publish(cameras, path, {
      codec: path.startsWith("h264") ? "h264" : "h265",
      audio: path.endsWith("sound"),
      maxPayload: 30_000
    })
  )
  let index = 0
  yield* Effect.forkScoped(
    Effect.gen(function* () {
      for (;;) {
        for (const [at, hand] of hands.entries()) {
          hand.picture(index % 10 === 0 ? "keyframe" : "other", pictureBytes)
          if (paths[at]?.endsWith("sound") === true) {
            hand.sound()
            hand.sound()
          }
        }
        index++
        yield* Effect.sleep(pictureMs)
      }
    })
  )
  const sink = yield* child<{ readonly port: number }>("sink-process.ts")
  const order: RelayOrder = {
    cameraPort: cameras.port,
    sinkPort: sink.first.port,
    paths,
    // what a server may be silent for is another test's business: a busy machine takes long to fill it
    stallTimeoutMs: 600_000
  }
  const relays = yield* child("relay-process.ts", [JSON.stringify(order)])
  return {
    sinkPid: sink.child.pid,
    askSink: (question: object = {}) => Effect.promise(() => sink.child.ask<SinkReport>(question)),
    askRelays: Effect.promise(() => relays.child.ask<RelayReport>()),
    pictures: () => index,
    /** What the start left behind is not what a slow server costs. */
    warmUp: Effect.gen(function* () {
      const enough = index + 25
      const isEnough = () => index >= enough
      while (!isEnough()) yield* Effect.sleep("100 millis")
    })
  }
})

const all = <A>(record: Readonly<Record<string, A>>, holds: (one: A) => boolean): boolean =>
  paths.every((path) => record[path] !== undefined && holds(record[path]))

/** What a relay process may grow by: what waits for each server, and what the garbage collector leaves. */
const mostGrowthMb = 4 * paths.length + 64

describe("a native relay to a media server", () => {
  it.live("that is suspended uses bounded memory, and resumes at a keyframe", () =>
    Effect.gen(function* () {
      const { askRelays, askSink, pictures, sinkPid, warmUp } = yield* setUp()
      yield* warmUp
      const before = yield* askRelays
      process.kill(sinkPid, "SIGSTOP")
      const frozenAt = { ms: performance.now(), picture: pictures() }
      let peakMb = before.rssMb
      for (;;) {
        yield* Effect.sleep("200 millis")
        const now = yield* askRelays
        peakMb = Math.max(peakMb, now.rssMb)
        // much more came than may be held
        const cameMb = ((pictures() - frozenAt.picture) * paths.length * pictureBytes) / 1e6
        const isLong = performance.now() - frozenAt.ms > freezeSeconds * 1000
        if (
          isLong &&
          cameMb > 2 * mostGrowthMb &&
          all(now.counters, ({ dropped }) => dropped > 0)
        ) {
          break
        }
      }
      const frozenMs = performance.now() - frozenAt.ms
      process.kill(sinkPid, "SIGCONT")
      let sunk = yield* askSink()
      while (!all(sunk, ({ gaps, sinceGap }) => gaps.length > 0 && sinceGap > 300)) {
        yield* Effect.sleep("100 millis")
        sunk = yield* askSink()
      }
      const after = yield* askRelays
      assert.deepStrictEqual(after.ended, [])
      for (const path of paths) {
        const { gaps } = sunk[path]!
        const [first] = gaps
        // one freeze, one gap in each track; the picture goes on before the sound
        assert.deepStrictEqual(
          gaps.map(({ track }) => track),
          path.endsWith("sound") ? [0, 1] : [0]
        )
        assert.isTrue(begins(path, first!.next), `${path} goes on with ${String(first?.next)}`)
        const { dropped, lost } = after.counters[path]!
        assert.strictEqual(lost, 0)
        assert.strictEqual(
          gaps.reduce((sum, gap) => sum + gap.lost, 0),
          dropped
        )
      }
      const report = { frozenMs, beforeMb: before.rssMb, peakMb, afterMb: after.rssMb }
      if (process.env["FREEZE_SECONDS"] !== undefined) console.log(JSON.stringify(report))
      assert.isBelow(peakMb - before.rssMb, mostGrowthMb)
    })
  )

  it.live("that is slow receives what it can read, from keyframe to keyframe", () =>
    Effect.gen(function* () {
      const { askRelays, askSink, warmUp } = yield* setUp()
      yield* warmUp
      const before = yield* askRelays
      let peakMb = before.rssMb
      let sunk = yield* askSink({ slow: true })
      while (!all(sunk, ({ gaps }) => gaps.filter(({ track }) => track === 0).length >= 2)) {
        yield* Effect.sleep("200 millis")
        sunk = yield* askSink()
        peakMb = Math.max(peakMb, (yield* askRelays).rssMb)
      }
      yield* askSink({ slow: false })
      while (!all(sunk, ({ sinceGap }) => sinceGap > 300)) {
        yield* Effect.sleep("100 millis")
        sunk = yield* askSink()
      }
      const { counters, ended } = yield* askRelays
      assert.deepStrictEqual(ended, [])
      for (const path of paths) {
        assert.strictEqual(counters[path]!.lost, 0)
        for (const { next, track } of sunk[path]!.gaps) {
          if (track === 0) assert.isTrue(begins(path, next), `${path} goes on with ${String(next)}`)
        }
      }
      assert.isBelow(peakMb - before.rssMb, mostGrowthMb)
    })
  )
})
