/** The words of the cameras' log lines, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import {
  type Camera,
  type CameraId,
  type CameraState,
  MediaPath,
  Reason,
  StatusLog,
  StatusStore,
  StreamUrl
} from "@restream/core"
import { Effect, Layer, Logger, References, Result, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { options } from "../kit/Tree.ts"

const camera = (id: number, host = "10.0.0.5", name = `Camera ${id}`): Camera => ({
  _tag: "Camera",
  id: String(id) as CameraId,
  name,
  type: "url",
  url: Result.getOrThrow(StreamUrl.parse(`rtsp://admin:TopSecret1@${host}/${id}`)),
  path: Result.getOrThrow(MediaPath.parse(`cam${id}`)),
  options: options.defaults
})

const gate = camera(12, "10.0.0.5", "Gate")
const refused = new Reason.Refused({ authority: "10.0.0.5:554" })

const probing: CameraState.CameraState = { _tag: "Probing", attempt: 1 }
const starting: CameraState.CameraState = { _tag: "Starting", engine: "native" }
const live: CameraState.CameraState = {
  _tag: "Live",
  engine: "native",
  offer: { video: { codec: "h264", width: 1920, height: 1080 }, audio: undefined },
  since: 0
}
const unreachable = (reason: Reason.Reason): CameraState.CameraState => ({
  _tag: "Unreachable",
  reason,
  attempt: 1,
  retryAt: 1000
})
const restarting = (reason: Reason.Reason): CameraState.CameraState => ({
  _tag: "Restarting",
  reason,
  at: 5000
})

interface Written {
  readonly lines: ReadonlyArray<string>
  readonly debug: ReadonlyArray<string>
  readonly fields: ReadonlyArray<Readonly<Record<string, unknown>>>
}

interface Fixture {
  readonly enter: (
    camera: Camera,
    ...states: ReadonlyArray<CameraState.CameraState>
  ) => Effect.Effect<void>
  readonly store: StatusStore["Service"]
  /** What was written since the last call. The clock does not move. */
  readonly written: Effect.Effect<Written>
}

const withLines = <A, E>(
  body: (fixture: Fixture) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E> => {
  const all: Array<{ level: string; text: string; fields: Readonly<Record<string, unknown>> }> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    all.push({
      level: logLevel,
      text: `${logLevel} ${String(message)}`,
      fields: fiber.getRef(References.CurrentLogAnnotations)
    })
  })
  return Effect.gen(function* () {
    const store = yield* StatusStore
    return yield* body({
      store,
      enter: (camera, ...states) =>
        Effect.forEach(states, (state) => store.transition(camera, state), { discard: true }),
      written: Effect.andThen(
        TestClock.adjust(0),
        Effect.sync(() => {
          const taken = all.splice(0)
          const shown = taken.filter(({ level }) => level !== "Debug")
          return {
            lines: shown.map(({ text }) => text),
            debug: taken.filter(({ level }) => level === "Debug").map(({ text }) => text),
            fields: shown.map(({ fields }) => fields)
          }
        })
      )
    })
  }).pipe(
    Effect.scoped,
    Effect.provide(
      StatusLog.layer.pipe(
        Layer.provideMerge(StatusStore.layer),
        Layer.provideMerge(Logger.layer([logger]))
      )
    ),
    Effect.provideService(References.MinimumLogLevel, "All")
  )
}

describe("StatusLog", () => {
  it.effect("counts a camera once, whichever of its streams fail", () =>
    withLines(({ enter, written }) =>
      Effect.gen(function* () {
        const further = (of: Camera, name: string): Camera => ({
          ...of,
          id: `${of.id}:${name}` as CameraId,
          substream: { of: of.id, name }
        })
        const yard = camera(13)
        yield* enter(further(gate, "sub"), probing, unreachable(refused))
        yield* enter(gate, probing, unreachable(refused))
        yield* TestClock.adjust(StatusLog.sharedCauseWindow)
        const alone = yield* written
        assert.deepStrictEqual(alone.lines, [
          `Warn camera 12 "Gate": unreachable: ${refused.message}; retrying in 1 s`
        ])
        assert.include(
          alone.debug.join("\n"),
          `Debug camera 12:sub "Gate": unreachable: ${refused.message}`
        )
        for (const one of [further(yard, "sub"), further(yard, "third"), camera(14)]) {
          yield* enter(one, probing, unreachable(refused))
        }
        yield* TestClock.adjust(StatusLog.sharedCauseWindow)
        const { fields, lines } = yield* written
        assert.lengthOf(lines, 1)
        assert.match(
          lines[0]!,
          /^Warn 2 cameras at 10\.0\.0\.5:554: .*; affected: 13:sub "Camera 13", 14 "Camera 14"$/
        )
        assert.strictEqual(fields[0]?.["cameras"], 2)
      })
    )
  )

  it.effect("writes what an operator must know, in one line each", () =>
    withLines(({ enter, store, written }) =>
      Effect.gen(function* () {
        yield* enter(gate, { _tag: "Waiting", for: "turn" }, probing, unreachable(refused))
        yield* enter(gate, probing, starting, live)
        yield* store.markStable(gate.id)
        yield* enter(gate, restarting(new Reason.Exited({ status: 1, lastWords: "oops" })))
        yield* enter(gate, probing, starting, live, { _tag: "Stopping" })
        yield* store.remove(gate.id)
        const { debug, lines } = yield* written
        assert.deepStrictEqual(lines, [
          `Warn camera 12 "Gate": unreachable: ${refused.message}; retrying in 1 s`,
          'Info camera 12 "Gate": live: h264 1920x1080, no audio (native)',
          'Warn camera 12 "Gate": relay ended: process exited with code 1: oops; restarting in 5 s; health good: 1 restart in the last hour',
          'Info camera 12 "Gate": live: h264 1920x1080, no audio (native); health good: 1 restart in the last hour'
        ])
        assert.includeMembers(
          [...debug],
          [
            'Debug camera 12 "Gate": queued',
            'Debug camera 12 "Gate": probing',
            'Debug camera 12 "Gate": starting the relay (native)',
            'Debug camera 12 "Gate": stopping',
            'Debug camera 12 "Gate": removed'
          ]
        )
      })
    )
  )

  it.effect("writes the facts of a line as fields, without secrets", () =>
    withLines(({ enter, written }) =>
      Effect.gen(function* () {
        yield* enter(gate, probing, unreachable(new Reason.NotFound()), probing, starting, live)
        const { fields } = yield* written
        const base = { module: "camera", camera: "12", name: "Gate", path: "cam12" }
        assert.deepStrictEqual(fields, [
          { ...base, state: "unreachable", reason: "NotFound", attempt: 1 },
          { ...base, state: "live", engine: "native" }
        ])
      })
    )
  )

  it.effect("logs once that a camera is flapping, and once that it is stable", () =>
    withLines(({ enter, store, written }) =>
      Effect.gen(function* () {
        const ended = restarting(new Reason.Exited({ status: 1, lastWords: "" }))
        for (let n = 0; n < 100; n++) yield* enter(gate, probing, starting, live, ended)
        yield* enter(gate, probing, starting, live)
        yield* store.markStable(gate.id)
        const down =
          'Warn camera 12 "Gate": relay ended: process exited with code 1; restarting in 5 s; health good:'
        assert.deepStrictEqual((yield* written).lines, [
          'Info camera 12 "Gate": live: h264 1920x1080, no audio (native)',
          `${down} 1 restart in the last hour`,
          'Info camera 12 "Gate": live: h264 1920x1080, no audio (native); health good: 1 restart in the last hour',
          `${down} 2 restarts in the last hour; flapping; further messages suppressed until it is stable`,
          'Info camera 12 "Gate": stable; health poor: 100 restarts in the last hour'
        ])
        yield* enter(gate, ended)
        assert.lengthOf((yield* written).lines, 1)
      })
    )
  )

  it.effect("logs each kind of failure once in one incident, with any numbers in its text", () =>
    withLines(({ enter, written }) =>
      Effect.gen(function* () {
        const stalled = (afterMs: number) => new Reason.Stalled({ side: "input", afterMs })
        yield* enter(gate, probing, starting, live)
        yield* written
        for (let n = 0; n < 50; n++) {
          yield* enter(gate, restarting(stalled(10_000 + n)))
          yield* enter(gate, restarting(new Reason.NotFound()), restarting(stalled(12_000 + n)))
        }
        yield* TestClock.adjust("1 second")
        const { fields } = yield* written
        assert.deepStrictEqual(
          fields.map(({ reason }) => reason),
          ["Stalled", "NotFound"]
        )
      })
    )
  )

  it.effect("logs a problem again after the row was changed", () =>
    withLines(({ enter, written }) =>
      Effect.gen(function* () {
        const missing = unreachable(new Reason.NotFound())
        yield* enter(gate, probing, missing, { _tag: "Stopping" }, probing, missing)
        assert.lengthOf((yield* written).lines, 2)
      })
    )
  )

  it.effect("reports an illegal transition as an internal error, and continues", () =>
    withLines(({ enter, written }) =>
      Effect.gen(function* () {
        yield* enter(gate, probing, live)
        assert.deepStrictEqual((yield* written).lines, [
          'Error camera 12 "Gate": internal error: illegal transition from Probing to Live',
          'Info camera 12 "Gate": live: h264 1920x1080, no audio (native)'
        ])
      })
    )
  )

  describe("a cause of many cameras", () => {
    const timedOut = unreachable(new Reason.TimedOut({ phase: "connecting", afterMs: 10_000 }))

    it.effect(
      "is one line with their number and the first names; each camera's own is at debug",
      () =>
        withLines(({ enter, written }) =>
          Effect.gen(function* () {
            for (let id = 1; id <= 16; id++) yield* enter(camera(id), probing, timedOut)
            assert.deepStrictEqual((yield* written).lines, [])
            yield* TestClock.adjust("999 millis")
            assert.deepStrictEqual((yield* written).lines, [])
            yield* TestClock.adjust("1 millis")
            const { debug, fields, lines } = yield* written
            assert.lengthOf(lines, 1)
            assert.match(
              lines[0]!,
              /^Warn 16 cameras at 10\.0\.0\.5:554: unreachable: .*; affected: 1 "Camera 1", 2 "Camera 2", 3 "Camera 3" and 13 more$/
            )
            assert.deepStrictEqual(fields, [
              { module: "camera", state: "unreachable", reason: "TimedOut", cameras: 16 }
            ])
            assert.lengthOf(
              debug.filter((line) => line.includes(": unreachable: ")),
              16
            )
          })
        )
    )

    it.effect("is one line for a switch that takes several hosts with it", () =>
      withLines(({ enter, written }) =>
        Effect.gen(function* () {
          for (let id = 1; id <= 5; id++) {
            const authority = `10.0.0.${id}:554`
            const gone = unreachable(new Reason.HostUnreachable({ authority }))
            yield* enter(camera(id, `10.0.0.${id}`), probing, gone)
          }
          yield* TestClock.adjust("1 second")
          assert.deepStrictEqual((yield* written).lines, [
            'Warn 5 cameras at 5 hosts: unreachable: no route to the hosts; retrying in 1 s; affected: 1 "Camera 1", 2 "Camera 2", 3 "Camera 3" and 2 more'
          ])
        })
      )
    )

    it.effect("is one line for each media server, without the host of the cameras", () =>
      withLines(({ enter, written }) =>
        Effect.gen(function* () {
          const lost = restarting(new Reason.ServerGone({ detail: "connection closed" }))
          for (let id = 1; id <= 5; id++) {
            const name = id < 3 ? "hall" : "yard"
            const mediaServer = { name, address: `${name}:8554`, key: name }
            yield* enter({ ...camera(id), mediaServer }, probing, starting, live, lost)
          }
          yield* TestClock.adjust("1 second")
          const { lines } = yield* written
          assert.deepStrictEqual(
            lines.filter((line) => line.startsWith("Warn")).map((line) => line.split("; ")[0]),
            [
              "Warn 2 cameras: relay ended: lost media server hall: connection closed",
              "Warn 3 cameras: relay ended: lost media server yard: connection closed"
            ]
          )
        })
      )
    )

    for (const [what, state, who] of [
      [
        "a media server that wants a password",
        restarting(new Reason.ServerUnauthorized()),
        "4 cameras"
      ],
      [
        "a missing program",
        unreachable(new Reason.LaunchFailed({ detail: "no ffprobe" })),
        "4 cameras at 4 hosts"
      ]
    ] as const) {
      it.effect(`is one line for ${what}, whichever hosts the cameras are at`, () =>
        withLines(({ enter, written }) =>
          Effect.gen(function* () {
            for (let id = 1; id <= 4; id++) {
              yield* enter(camera(id, `10.0.0.${id}`), probing, starting, state)
            }
            yield* TestClock.adjust("1 second")
            const { lines } = yield* written
            // the way from Starting to Unreachable is legal, too
            assert.lengthOf(lines, 1)
            assert.isTrue(lines[0]!.startsWith(`Warn ${who}: `), lines[0])
          })
        )
      )
    }

    it.effect("is a camera's own line after a second, where there is but one", () =>
      withLines(({ enter, written }) =>
        Effect.gen(function* () {
          yield* enter(gate, probing, timedOut)
          yield* TestClock.adjust("1 second")
          const { lines } = yield* written
          assert.lengthOf(lines, 1)
          assert.match(lines[0]!, /^Warn camera 12 "Gate": unreachable: .*; retrying in 1 s$/)
        })
      )
    )

    it.effect("never comes after what happened to the camera later", () =>
      withLines(({ enter, written }) =>
        Effect.gen(function* () {
          yield* enter(gate, probing, timedOut, probing, starting, live)
          assert.match((yield* written).lines.join("\n"), /unreachable: .*\n.*live: /)
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual((yield* written).lines, [])
        })
      )
    )

    it.effect("keeps cameras apart whose failures are their own", () =>
      withLines(({ enter, written }) =>
        Effect.gen(function* () {
          for (let id = 1; id <= 4; id++) {
            yield* enter(camera(id), probing, unreachable(new Reason.NotFound()))
          }
          assert.lengthOf((yield* written).lines, 4)
        })
      )
    )
  })

  it("writes what is still held when it ends", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => lines.push(String(message)))
      yield* Effect.gen(function* () {
        const store = yield* StatusStore
        yield* store.transition(gate, probing)
        yield* store.transition(gate, unreachable(refused))
      }).pipe(
        Effect.provide(
          StatusLog.layer.pipe(
            Layer.provideMerge(StatusStore.layer),
            Layer.provideMerge(Logger.layer([logger]))
          )
        )
      )
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /connection refused/)
    }).pipe(Effect.runPromise))
})
