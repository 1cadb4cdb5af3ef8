/**
 * What comes out of a relay is what a camera sends, picture by picture: a clip that ffmpeg publishes is read
 * from the camera and behind the relay, and both are held against the clip itself.
 */
import { assert, describe, it } from "@effect/vitest"
import { NativeEngine } from "@restream/core"
import { RtspServer } from "@restream/core/testing"
import { Effect, Exit, Fiber, Scope } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { run, start } from "../../kit/Spawn.ts"
import { ffmpeg, skipped } from "../../rtsp/Peers.ts"
import { job, startRelay } from "../Streams.ts"

const seconds = 7
const rate = 15

interface Format {
  readonly label: string
  /** How ffmpeg encodes the picture, and the sound. */
  readonly video: string
  readonly audio?: string
}

const formats: ReadonlyArray<Format> = [
  { label: "H.264 and AAC", video: "libx264 -bf 2", audio: "aac -ar 44100" },
  { label: "H.264 and G.711", video: "libx264 -tune zerolatency", audio: "pcm_alaw -ar 8000" },
  {
    label: "H.265",
    // the ffmpeg from npm does not tell its encoder the distance of keyframes
    video: `libx265 -x265-params log-level=error:bframes=0:keyint=${rate}:min-keyint=${rate}`
  },
  { label: "video only", video: "libx264 -tune zerolatency" }
]

const quiet = "-nostdin -hide_banner -loglevel error".split(" ")

const encoders = spawnSync(ffmpeg, ["-hide_banner", "-encoders"]).stdout.toString()
const canEncode = ({ video }: Format) => encoders.includes(video.split(" ")[0]!)

/** Makes a clip, a keyframe each second, of pictures and noise that never repeat. */
const makeClip = Effect.fnUntraced(function* ({ audio, video }: Format) {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-clip-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const clip = join(folder, "clip.mkv")
  const { code, stderr } = yield* run(ffmpeg, [
    ...quiet,
    ...`-f lavfi -i testsrc=size=320x180:rate=${rate}`.split(" "),
    ...(audio === undefined ? [] : "-f lavfi -i anoisesrc=amplitude=0.1 -ac 1".split(" ")),
    ...`-t ${seconds} -pix_fmt yuv420p -g ${rate} -preset ultrafast -c:v ${video}`.split(" "),
    ...(audio === undefined ? [] : `-c:a ${audio}`.split(" ")),
    clip
  ])
  assert.strictEqual(code, 0, stderr)
  return clip
})

/** Hashes of each decoded picture, and of each packet of sound, which is decoded besides. */
const hash = Effect.fnUntraced(function* (from: string, { audio }: Format) {
  const { stderr, stdout } = yield* run(ffmpeg, [
    ...quiet,
    ...(from.startsWith("rtsp") ? ["-rtsp_transport", "tcp"] : []),
    "-i",
    from,
    "-map",
    "0:v:0",
    ...(audio === undefined ? [] : "-map 0:a:0 -c:a copy".split(" ")),
    // pictures as they come: none doubled, none left out
    ..."-vsync passthrough -f framemd5 -".split(" "),
    ...(audio === undefined ? [] : "-map 0:a:0 -f null -".split(" "))
  ])
  // ffmpeg corrects its clock by the sender reports, and its null muxer complains of times, not of contents
  const complaints = stderr.split("\n").filter((line) => !line.includes("increasing dts"))
  assert.deepStrictEqual(complaints.filter(Boolean), [])
  const track = (index: number) =>
    stdout
      .split("\n")
      .filter((line) => line.startsWith(`${index},`))
      .map((line) => line.split(",").at(-1)!.trim())
  return { video: track(0), audio: track(1) }
})

/** Asserts that all of the part is in the whole, in one piece. */
const isPartOf = (part: ReadonlyArray<string>, whole: ReadonlyArray<string>) => {
  const at = whole.indexOf(part[0] ?? "")
  assert.notStrictEqual(at, -1)
  assert.deepStrictEqual(part, whole.slice(at, at + part.length))
}

/** Asserts that two are the same from where the later one begins to where the first one ends. */
const areTheSame = (one: ReadonlyArray<string>, other: ReadonlyArray<string>) => {
  const shift = one.indexOf(other[0] ?? "")
  const [long, short, at] =
    shift === -1 ? [other, one, other.indexOf(one[0] ?? "")] : [one, other, shift]
  const length = Math.min(long.length - at, short.length)
  assert.deepStrictEqual(short.slice(0, length), long.slice(at, at + length))
  // a reader may be cut off by the end of the stream, and by no more than that
  assert.isAtMost(Math.abs(long.length - at - short.length), 5)
}

describe.concurrent("a native relay, frame by frame,", () => {
  for (const format of formats) {
    const reason = canEncode(format) ? undefined : "this ffmpeg can't encode it"
    if (reason !== undefined) skipped(`frames of ${format.label}`, reason)
    it.live.skipIf(reason !== undefined)(
      `relays ${format.label} unchanged`,
      () =>
        Effect.gen(function* () {
          const clip = yield* makeClip(format)
          const camera = yield* RtspServer.make()
          const sink = yield* RtspServer.make()
          const publisher = yield* start(ffmpeg, [
            ...quiet,
            "-re",
            "-i",
            clip,
            ..."-c copy -f rtsp -rtsp_transport tcp".split(" "),
            camera.url("cam")
          ])
          yield* camera.awaitPackets("cam")
          // the clip goes on when all readers are there, however long a busy machine takes to start them
          publisher.process.kill("SIGSTOP")
          const scope = yield* Scope.make()
          const native = NativeEngine.make({ stallTimeout: "1 minute" })
          const running = yield* Scope.provide(
            startRelay(native, job(camera.url("cam"), sink.url("out"))),
            scope
          )
          const direct = yield* Effect.forkChild(hash(camera.url("cam"), format))
          const relayed = yield* Effect.forkChild(hash(sink.url("out"), format))
          yield* camera.awaitReaders("cam", 2)
          yield* sink.awaitReaders("out", 1)
          publisher.process.kill("SIGCONT")
          yield* Effect.raceFirst(running.flowing, running.ended)
          assert.strictEqual((yield* publisher.ended).code, 0)
          yield* Effect.flip(running.ended)
          assert.deepInclude(running.counters(), { lost: 0, dropped: 0 })
          yield* Scope.close(scope, Exit.void)

          const original = yield* hash(clip, format)
          const [before, behind] = yield* Fiber.joinAll([direct, relayed])
          assert.strictEqual(original.video.length, seconds * rate)
          for (const kind of ["video", "audio"] as const) {
            const least = kind === "video" ? 2 * rate : format.audio === undefined ? 0 : 2 * rate
            assert.isAtLeast(before![kind].length, least)
            assert.isAtLeast(behind![kind].length, least)
          }
          isPartOf(before!.video, original.video)
          isPartOf(behind!.video, original.video)
          // G.711 is cut into other packets on its way, so the two ends are held against each other
          areTheSame(before!.audio, behind!.audio)
        }),
      120_000
    )
  }
})
