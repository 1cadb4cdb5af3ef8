/** Addresses that were pasted from the configuration of go2rtc or Frigate. */
import { assert, layer } from "@effect/vitest"
import { RtspServer, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { Postgres } from "../kit/Postgres.ts"
import { addRows, database, row, settingsOf, start } from "../kit/Installation.ts"

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "addresses of go2rtc and Frigate",
  (it) => {
    it.effect("with a fragment are used without it, and that is reported", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const requested = new Set<string>()
        const camera = yield* RtspServer.make({
          resolve: (path) => {
            requested.add(path)
            return "cam"
          }
        })
        yield* TestPattern.publish(camera, "cam")
        const sink = yield* RtspServer.make()
        const fragments = ["#backchannel=0", "#video=copy#audio=aac", "#secret1", "#backchannel=0"]
        yield* addRows(
          sql,
          fragments.map((fragment, index) =>
            row(index + 1, `${camera.url(`live?n=${index + 1}`)}${fragment}`, {
              options: { engine: index === 3 ? "ffmpeg" : "native" }
            })
          )
        )
        const tree = yield* start(settingsOf(dsn, sink.port, { probe: { perHost: 4 } }))
        yield* Effect.forEach([1, 2, 3, 4], (id) => tree.awaitState(id, "Live"))
        assert.isNotEmpty([...requested])
        for (const path of requested) assert.notMatch(path, /#|%23|backchannel|secret1/)
        assert.sameMembers(
          [...tree.log.matching(/not sent to the camera/)],
          [
            'Warn 2 cameras: 1 "Camera 1", 4 "Camera 4": the URL ends in #backchannel, for go2rtc; not sent to the camera, and without effect',
            'Warn camera 2 "Camera 2": the URL ends in #video, #audio, for go2rtc; not sent to the camera, and without effect',
            'Warn camera 3 "Camera 3": the part of the URL behind # is not sent to the camera; if it belongs to the path or the query, write # as %23'
          ]
        )
        assert.notInclude(tree.log.everything(), "secret1")
        // another fragment is no other address
        yield* sql`update cameras set url = split_part(url, '#', 1), name = 'renamed' where id = 1`
        yield* tree.log.awaitLine(/renamed camera 1/)
        assert.lengthOf(tree.log.matching(/restarted/), 0)
      })
    )

    it.effect("that are sources, schemes or quoted are invalid, with what to write", () =>
      Effect.gen(function* () {
        const { dsn, sql } = yield* database
        const addresses = [
          ["rtspx://10.0.0.5:7441/abc", /write rtsps:\/\/ and set options.insecure/],
          [
            "ffmpeg:rtsp://u:HIDDEN1@10.0.0.5/live#video=h264",
            /^ffmpeg: .* write the address behind it/
          ],
          ["ffmpeg:front_door#audio=opus", /^ffmpeg: .* write the address of the camera/],
          ["exec:ffmpeg -i x -f rtsp {output}", /^exec: is a source of go2rtc/],
          ["onvif://u:HIDDEN1@10.0.0.5:80?subtype=MainStream", /^onvif: is a source of go2rtc/],
          ["tapo://HIDDEN1@10.0.0.5", /^tapo: is a source of go2rtc/],
          ['"rtsp://u:HIDDEN1@10.0.0.5/live"', /in quotes/],
          ["'rtsp://10.0.0.5/live'", /in quotes/],
          ["\u201crtsp://10.0.0.5/live\u201d", /in quotes/],
          ["<rtsp://10.0.0.5/live>", /in quotes/],
          ["- rtsp://10.0.0.5/live", /YAML list/],
          ["rtsp://u:{FRIGATE_RTSP_PASSWORD}@10.0.0.5/live", /placeholder {FRIGATE_RTSP_PASSWORD}/]
        ] as const
        yield* addRows(
          sql,
          addresses.map(([url], index) => row(index + 1, url))
        )
        const tree = yield* start(settingsOf(dsn, 1))
        for (const [index, [url, expected]] of addresses.entries()) {
          const { problem } = yield* tree.awaitState(index + 1, "Invalid")
          assert.match(problem, expected, url)
        }
        assert.notInclude(tree.log.everything(), "HIDDEN1")
      })
    )
  }
)
