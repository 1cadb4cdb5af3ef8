/** Every state × everything that can happen to a camera: all of it is legal, and the camera comes back. */
import { assert, describe, it } from "@effect/vitest"
import { MediaServer, type CameraRow, Reason } from "@restream/core"
import { Cause, Effect, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { type FakeServer, layer, row, setRows, tagOf } from "../kit/Tree.ts"

const settle = TestClock.adjust("1 millis")

/** Two channels of one recorder with the same credentials, so that each feels what the other one does. */
const channel = (id: number, more: CameraRow = {}): CameraRow =>
  row(id, { url: `rtsp://admin:first@10.0.0.100/${id}`, ...more })

/** What surrounds the cameras, and what may be done to it. */
class Fixture {
  readonly engines = [FakeEngine.make("native"), FakeEngine.make("ffmpeg")]
  readonly server: FakeServer = { isThere: true }
  rows = new Map<number, CameraRow>([
    [1, channel(1)],
    [2, channel(2)]
  ])

  get relays() {
    return this.engines.flatMap(({ relays }) => relays)
  }

  set(behaviour: Partial<FakeEngine.FakeEngine>) {
    return Effect.sync(() => {
      for (const engine of this.engines) Object.assign(engine, behaviour)
    })
  }

  answer(answer: FakeEngine.FakeEngine["answer"]) {
    return this.set({ answer })
  }

  setRow(id: number, value: CameraRow) {
    return Effect.suspend(() => setRows([...this.rows.set(id, value).values()]))
  }

  changeRow(more: CameraRow) {
    return Effect.suspend(() => this.setRow(1, { ...this.rows.get(1), ...more }))
  }

  setServer(isThere: boolean) {
    return Effect.gen({ self: this }, function* () {
      this.server.isThere = isThere
      yield* (yield* MediaServer).reportFailure
      yield* TestClock.adjust("2 seconds")
    })
  }

  endRelays(reason: Reason.RelayReason) {
    return Effect.forEach(
      this.relays.filter(({ endedAt }) => endedAt === undefined),
      (relay) => relay.end(reason),
      { discard: true }
    )
  }
}

type Step = (fixture: Fixture) => Effect.Effect<unknown, never, never | any>

const fails = (reason: Reason.ProbeReason) => () => Effect.fail(reason)
const refused = new Reason.Refused({ authority: "10.0.0.100:554" })
const unauthorized = new Reason.Unauthorized({ credentials: "wrong" })
const unsupported = new Reason.Unsupported({ what: "UDP" })
const closed = new Reason.Closed({ phase: "streaming" })

/** From two live cameras to a state of the first one. */
const ways: Readonly<Record<string, Step>> = {
  Live: () => Effect.void,
  "Live, its account refused": (here) =>
    Effect.andThen(here.answer(fails(unauthorized)), here.setRow(2, channel(2, { path: "b" }))),
  Invalid: (here) => here.changeRow({ url: null }),
  "Waiting for the media server": (here) =>
    Effect.andThen(here.setServer(false), here.endRelays(closed)).pipe(
      Effect.andThen(TestClock.adjust("6 seconds"))
    ),
  "Waiting for its turn": (here) =>
    here
      .answer(() => Effect.never)
      .pipe(
        Effect.andThen(here.changeRow({ path: "other" })),
        Effect.andThen(here.setRow(2, channel(2, { path: "another" })))
      ),
  Probing: (here) =>
    Effect.andThen(
      here.answer(() => Effect.never),
      here.changeRow({ path: "other" })
    ),
  Unreachable: (here) =>
    Effect.andThen(here.answer(fails(refused)), here.changeRow({ path: "other" })),
  "Unreachable, its account refused": (here) =>
    here
      .answer(fails(unauthorized))
      .pipe(Effect.andThen(here.endRelays(closed)), Effect.andThen(TestClock.adjust("10 seconds"))),
  Starting: (here) => {
    return Effect.andThen(here.set({ flowsAtOnce: false }), here.changeRow({ path: "other" }))
  },
  "Starting, its account refused": (here) =>
    here
      .set({ flowsAtOnce: false })
      .pipe(
        Effect.andThen(here.changeRow({ path: "other" })),
        Effect.andThen(settle),
        Effect.andThen(here.answer(fails(unauthorized))),
        Effect.andThen(here.setRow(2, channel(2, { path: "b" })))
      ),
  Restarting: (here) => here.endRelays(closed),
  "Restarting after a defect": (here) =>
    here
      .answer(() => Effect.die("by a test"))
      .pipe(Effect.andThen(here.changeRow({ path: "other" }))),
  Stopping: (here) => {
    return Effect.andThen(here.set({ endingTakes: 30_000 }), here.changeRow({ path: "other" }))
  },
  removed: (here) => here.changeRow({ enabled: false })
}

const events: Readonly<Record<string, Step>> = {
  "its URL changes": (here) => here.changeRow({ url: "rtsp://admin:first@10.0.0.100/other" }),
  "its password changes": (here) => here.changeRow({ url: "rtsp://admin:second@10.0.0.100/1" }),
  "its path changes": (here) => here.changeRow({ path: "third" }),
  "its name changes": (here) => here.changeRow({ name: "Gate" }),
  "it is disabled": (here) => here.changeRow({ enabled: false }),
  "it is enabled": (here) => here.changeRow({ enabled: true }),
  "its row becomes invalid": (here) => here.changeRow({ url: "nothing" }),
  "its row becomes valid": (here) => here.setRow(1, channel(1)),
  "the other channel's row changes": (here) => here.setRow(2, channel(2, { path: "fourth" })),
  "the media server goes": (here) => here.setServer(false),
  "the media server is back": (here) => here.setServer(true),
  "probes are refused": (here) => here.answer(fails(refused)),
  "probes find wrong credentials": (here) => here.answer(fails(unauthorized)),
  "probes find something unsupported": (here) => here.answer(fails(unsupported)),
  "probes die": (here) => here.answer(() => Effect.die("by a test")),
  "probes hang": (here) => here.answer(() => Effect.never),
  "probes succeed": (here) => here.answer(() => Effect.succeed(FakeEngine.offer)),
  "relays are closed": (here) => here.endRelays(closed),
  "relays find wrong credentials": (here) => here.endRelays(unauthorized),
  "relays find something unsupported": (here) => here.endRelays(unsupported),
  "relays are replaced": (here) => here.endRelays(new Reason.PublisherReplaced()),
  "media flow": (here) => Effect.suspend(() => Effect.forEach(here.relays, ({ flow }) => flow)),
  "a second passes": () => TestClock.adjust("1 second"),
  "a minute passes": () => TestClock.adjust("1 minute"),
  "ten minutes pass": () => TestClock.adjust("10 minutes")
}

/** Runs the steps, mends everything, and tells what was illegal and where the camera is then. */
const play = (steps: ReadonlyArray<Step>) => {
  const illegal: Array<string> = []
  const logger = Logger.make(({ cause, message }) => {
    const text = `${String(message)} ${Cause.pretty(cause)}`
    if (text.includes("illegal transition")) illegal.push(text.replace(/\n[^]*/, ""))
  })
  return Effect.suspend(() => {
    const here = new Fixture()
    const run = Effect.gen(function* () {
      yield* TestClock.adjust("10 seconds")
      for (const step of steps) {
        yield* step(here)
        yield* settle
      }
      yield* here.set({ flowsAtOnce: true, endingTakes: 0 })
      yield* here.answer(() => Effect.succeed(FakeEngine.offer))
      yield* here.setServer(true)
      // a row that nobody has seen: whatever hangs ends with its fiber
      yield* here.setRow(1, channel(1, { path: "last1" }))
      yield* here.setRow(2, channel(2, { path: "last2" }))
      yield* TestClock.adjust("1 hour")
      return { illegal: [...new Set(illegal)], tag: yield* tagOf(1) }
    })
    return run.pipe(
      Effect.provide(
        Layer.provideMerge(
          layer(here.engines, [...here.rows.values()], here.server),
          Logger.layer([logger])
        )
      ),
      Effect.provideService(References.MinimumLogLevel, "Info")
    )
  })
}

describe("Every transition", () => {
  for (const [state, way] of Object.entries(ways)) {
    it.effect(`is legal from ${state}, for any next event`, () =>
      Effect.forEach(
        Object.entries(events),
        ([event, act]) =>
          Effect.map(play([way, act]), (end) =>
            assert.deepStrictEqual(end, { illegal: [], tag: "Live" }, event)
          ),
        { discard: true }
      )
    )
  }

  const steps = { ...ways, ...events }
  const histories = fc.sample(
    fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 2, maxLength: 8 }),
    { seed: 12, numRuns: 300 }
  )
  for (let from = 0; from < histories.length; from += 100) {
    it.effect(`is legal through random histories, ${from + 1} to ${from + 100}`, () =>
      Effect.forEach(
        histories.slice(from, from + 100),
        (history) =>
          Effect.map(play(history.map((name) => steps[name]!)), (end) =>
            assert.deepStrictEqual(end, { illegal: [], tag: "Live" }, history.join(" → "))
          ),
        { discard: true }
      )
    )
  }
})
