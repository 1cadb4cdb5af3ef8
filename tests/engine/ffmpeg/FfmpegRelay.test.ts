import { assert, describe, it } from "@effect/vitest"
import { anyServer, type CameraOptions } from "@restream/core"
import { RtspServer, type RtspServerOptions, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { publishContract } from "../PublishContract.ts"
import { ffmpegs } from "./Binaries.ts"
import { engine } from "./Engines.ts"
import { job, startRelay } from "../Streams.ts"

for (const { label, path } of ffmpegs) {
  publishContract(label, {
    make: (options) => engine({ ...options, ffmpegPath: path })
  })

  describe.concurrent(`${label}, beyond what every relay does,`, () => {
    /** A camera with sound at `cam`, a media server, and a relay to its path `out`. */
    const between = (
      options: Partial<CameraOptions>,
      settings: {
        readonly camera?: RtspServerOptions
        readonly sink?: RtspServerOptions
        readonly engine?: Parameters<typeof engine>[0]
        readonly check?: Effect.Effect<boolean>
      } = {}
    ) =>
      Effect.gen(function* () {
        const camera = yield* RtspServer.make(settings.camera)
        const sink = yield* RtspServer.make(settings.sink)
        yield* TestPattern.publish(camera, "cam", { audio: true })
        const ffmpeg = yield* engine({ ffmpegPath: path, ...settings.engine })
        const start = startRelay(ffmpeg, {
          ...job(camera.url("cam"), sink.url("out"), options),
          server: { ...anyServer, ...(settings.check && { check: settings.check }) }
        })
        return { camera, sink, start }
      })

    it.live.each([
      ["aac", "aac"],
      ["opus", "opus"],
      ["auto", "pcm_mulaw"],
      ["copy", "pcm_mulaw"]
    ] as const)("relays audio by the policy %s as %s", ([audio, codec]) =>
      Effect.gen(function* () {
        const { sink, start } = yield* between({ audio })
        yield* (yield* start).flowing
        yield* sink.awaitPackets("out")
        const status = yield* sink.path("out")
        assert.deepStrictEqual(
          status?.publisher?.tracks.map((track) => track.codec),
          ["h264", codec]
        )
      })
    )

    it.live("uses the clock of this machine for timestamps", () =>
      Effect.gen(function* () {
        const { sink, start } = yield* between({ wallclock: true })
        yield* (yield* start).flowing
        yield* sink.awaitPackets("out")
      })
    )

    it.live("does not delay the video for a silent audio track", () =>
      Effect.gen(function* () {
        const { camera, sink, start } = yield* between({})
        yield* camera.freeze("cam", "audio")
        const relay = yield* start
        yield* sink.awaitPackets("out")
        // ffmpeg would wait for ten seconds of video by itself: a hundred pictures
        assert.isBelow(relay.counters().packets, 70)
      })
    )

    it.live("reports a media server that accepts the connection and does not respond", () =>
      Effect.gen(function* () {
        const { start } = yield* between(
          {},
          {
            sink: { settings: () => ({ quirks: { silentAt: "ANNOUNCE" } }) },
            engine: { stallTimeout: "2 seconds", startTimeout: "5 seconds" },
            check: Effect.succeed(false)
          }
        )
        const { reason } = yield* Effect.flip((yield* start).ended)
        assert.deepInclude({ ...reason }, { _tag: "Stalled", side: "output" })
      })
    )

    it.live("reports a camera that supports only UDP", () =>
      Effect.gen(function* () {
        const { start } = yield* between(
          {},
          { camera: { settings: () => ({ quirks: { udpOnly: true } }) } }
        )
        const { reason } = yield* Effect.flip(start)
        assert.deepInclude({ ...reason }, { _tag: "Rejected", status: 461 })
      })
    )
  })
}
