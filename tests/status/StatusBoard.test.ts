import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  CameraState,
  type InvalidCamera,
  MediaPath,
  Reason,
  StatusBoard,
  StreamUrl
} from "@restream/core"
import { Cause, Effect, Exit, Result } from "effect"
import { TestClock } from "effect/testing"
import { withLog } from "../support/Log.ts"
import { options } from "../supervision/Tree.ts"

const camera: Camera = {
  _tag: "Camera",
  id: "12" as CameraId,
  name: "Gate",
  type: "url",
  url: Result.getOrThrow(StreamUrl.parse("rtsp://admin:TopSecret1@10.0.0.5/live")),
  path: Result.getOrThrow(MediaPath.parse("cam12")),
  options: options.defaults
}

const invalid: InvalidCamera = {
  _tag: "InvalidCamera",
  id: camera.id,
  name: camera.name,
  type: "url",
  problem: "column url is missing"
}

const reason = new Reason.Refused({ authority: "10.0.0.5:554" })

const states: Readonly<Record<CameraState.Tag, CameraState.CameraState>> = {
  Invalid: { _tag: "Invalid", problem: "column url is missing" },
  Waiting: { _tag: "Waiting", for: "media server" },
  Probing: { _tag: "Probing", attempt: 1 },
  Unreachable: { _tag: "Unreachable", reason, attempt: 1, retryAt: 1000 },
  Starting: { _tag: "Starting", engine: "native" },
  Live: {
    _tag: "Live",
    engine: "native",
    offer: { video: { codec: "h264", width: 1920, height: 1080 }, audio: undefined },
    since: 0
  },
  Restarting: { _tag: "Restarting", reason, at: 5000 },
  Stopping: { _tag: "Stopping" }
}

/** The shortest way from nowhere to a state. */
const wayTo: Readonly<Record<CameraState.Tag, ReadonlyArray<CameraState.Tag>>> = {
  Invalid: ["Invalid"],
  Waiting: ["Waiting"],
  Probing: ["Probing"],
  Unreachable: ["Probing", "Unreachable"],
  Starting: ["Probing", "Starting"],
  Live: ["Probing", "Starting", "Live"],
  Restarting: ["Probing", "Restarting"],
  Stopping: ["Probing", "Stopping"]
}

const enterAll = (tags: ReadonlyArray<CameraState.Tag>) =>
  Effect.flatMap(StatusBoard, (board) =>
    Effect.forEach(tags, (tag) => board.enter(camera, states[tag]), { discard: true })
  )

const tags = Object.keys(states) as ReadonlyArray<CameraState.Tag>

describe("StatusBoard", () => {
  for (const from of tags) {
    it.effect(`takes from ${from} exactly the transitions of the table`, () =>
      Effect.forEach(tags, (to) =>
        Effect.gen(function* () {
          yield* enterAll(wayTo[from])
          const exit = yield* Effect.exit(enterAll([to]))
          assert.strictEqual(Exit.isSuccess(exit), CameraState.successors[from].includes(to), to)
          if (Exit.isFailure(exit)) {
            assert.include(Cause.pretty(exit.cause), `illegal transition from ${from} to ${to}`)
          }
        }).pipe(Effect.provide(StatusBoard.layer))
      )
    )
  }

  it.effect("says what an operator has to know, in one line each", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        const board = yield* StatusBoard
        yield* enterAll(["Waiting", "Probing", "Unreachable", "Probing", "Starting", "Live"])
        yield* enterAll(["Restarting", "Probing", "Starting", "Live", "Stopping"])
        yield* board.remove(camera.id)
        yield* board.enter(invalid, states.Invalid)
        assert.deepStrictEqual(lines, [
          'Warn camera 12 "Gate": unreachable: connection refused at 10.0.0.5:554; next attempt in 1s',
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native)',
          'Warn camera 12 "Gate": down: connection refused at 10.0.0.5:554; restart in 5s',
          'Info camera 12 "Gate": live: h264 1920x1080, no sound (native)',
          'Info camera 12 "Gate": stopping',
          'Info camera 12 "Gate": gone',
          'Warn camera 12 "Gate": invalid: column url is missing'
        ])
      }).pipe(Effect.provide(StatusBoard.layer))
    )
  )

  it.effect("tells the same trouble once, and again after the camera was live", () =>
    withLog((lines) =>
      Effect.gen(function* () {
        for (let n = 0; n < 100; n++) yield* enterAll(["Probing", "Unreachable"])
        assert.strictEqual(lines.length, 1)
        yield* enterAll(["Probing", "Starting", "Live", "Restarting"])
        assert.strictEqual(lines.length, 3)
      }).pipe(Effect.provide(StatusBoard.layer))
    )
  )

  it.effect("shows every camera without its credentials", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* enterAll(["Probing", "Starting", "Live"])
      const board = yield* StatusBoard
      yield* board.count(camera.id, () => ({ bytes: 5, packets: 2, lost: 1, lastVideoAt: 900 }))
      const [status] = yield* board.all
      assert.notInclude(JSON.stringify(status), "TopSecret1")
      assert.deepStrictEqual(status, {
        id: camera.id,
        name: "Gate",
        type: "url",
        path: "cam12",
        address: "rtsp://***@10.0.0.5/live",
        state: states.Live,
        enteredAt: 1000,
        restarts: { total: 0, lastHour: 0 },
        stalls: { total: 0, lastHour: 0 },
        health: "good",
        counters: { bytes: 5, packets: 2, lost: 1, lastVideoAt: 900 }
      })
      assert.deepStrictEqual(yield* board.tally, { Live: 1 })
    }).pipe(Effect.provide(StatusBoard.layer))
  )
})
