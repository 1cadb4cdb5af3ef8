import { assert, describe, it } from "@effect/vitest"
import { type CameraId, type CameraSource, Reason, StatusStore, Supervisor } from "@restream/core"
import { Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { withLog } from "../kit/Log.ts"
import { layer, row, setRows, stateOf, tagOf } from "../kit/Tree.ts"

const settle = TestClock.adjust("1 second")

const started = (fake: FakeEngine.FakeEngine) =>
  fake.relays.map(({ camera }) => `${camera.id} ${camera.url} ${camera.path}`)

const ids = Effect.gen(function* () {
  const status = yield* StatusStore
  return (yield* status.all).map(({ id }) => id)
})

describe("Supervisor", () => {
  it.effect("starts added cameras, and stops removed ones", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      assert.deepStrictEqual(yield* ids, ["1"])
      yield* setRows([row(1), row(2)])
      yield* settle
      assert.strictEqual(yield* tagOf(2), "Live")
      yield* setRows([row(2)])
      yield* settle
      assert.deepStrictEqual(yield* ids, ["2"])
      assert.isDefined(fake.relays[0]!.endedAt)
      assert.isUndefined(fake.relays[1]!.endedAt)
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("reports an unreachable recorder to all channels at once", () => {
    const fake = FakeEngine.make()
    const reason = new Reason.TimedOut({ phase: "connecting", afterMs: 10_000 })
    fake.answer = () => Effect.andThen(Effect.sleep("10 seconds"), Effect.fail(reason))
    const channels = Array.from({ length: 32 }, (_, index) =>
      row(index + 1, { url: `rtsp://10.0.0.1/channel/${index}` })
    )
    return Effect.gen(function* () {
      yield* TestClock.adjust("10500 millis")
      const states = yield* Effect.forEach(channels, ({ id }) => stateOf(Number(id)))
      const told = states.filter((state) => state?._tag === "Unreachable")
      // three more had their turn meanwhile, and are still asked
      assert.lengthOf(told, 29)
      assert.isTrue(told.every((state) => state.reason === reason))
      assert.lengthOf(fake.probes, 4)
    }).pipe(Effect.provide(layer([fake], channels)))
  })

  it.effect("does not start a disabled camera, and stops one that becomes disabled", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      assert.deepStrictEqual(yield* ids, ["1"])
      yield* setRows([row(1, { enabled: false }), row(2, { enabled: true })])
      yield* settle
      assert.deepStrictEqual(yield* ids, ["2"])
      assert.isDefined(fake.relays[0]!.endedAt)
    }).pipe(Effect.provide(layer([fake], [row(1), row(2, { enabled: false })])))
  })

  it.effect("changes a name without a restart", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      yield* setRows([row(1, { name: "Gate" })])
      yield* settle
      const status = yield* StatusStore
      assert.strictEqual((yield* status.get("1" as CameraId))?.name, "Gate")
      assert.strictEqual(fake.relays.length, 1)
      assert.isUndefined(fake.relays[0]!.endedAt)
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("reports a relay that does not end, and waits for it", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* settle
        fake.endingTakes = 40_000
        yield* setRows([row(1, { url: "rtsp://10.0.0.9/live" })])
        yield* TestClock.adjust("14 seconds")
        const errors = () => lines.filter((line) => line.startsWith("Error"))
        assert.deepStrictEqual(errors(), [])
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* stateOf(1), { _tag: "Waiting", for: "previous relay" })
        assert.deepStrictEqual(errors(), [
          'Error camera 1 "Camera 1": the previous relay has not ended within 15 s; waiting for it, because two relays must not publish to one path'
        ])
        yield* TestClock.adjust("15 seconds")
        assert.lengthOf(errors(), 2)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* tagOf(1), "Live")
        assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
        assert.lengthOf(errors(), 2)
        fake.endingTakes = 0
      }).pipe(Effect.provide(layer([fake], [row(1)])))
    })
  )

  it.effect("reports a relay that does not end although its row was removed", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* settle
        fake.endingTakes = 20_000
        yield* setRows([])
        yield* TestClock.adjust("19 seconds")
        assert.deepStrictEqual(yield* ids, ["1"])
        assert.deepStrictEqual(
          lines.filter((line) => line.startsWith("Error")),
          [
            "Error camera 1: the previous relay has not ended within 15 s; waiting for it, because two relays must not publish to one path"
          ]
        )
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* ids, [])
        fake.endingTakes = 0
      }).pipe(Effect.provide(layer([fake], [row(1)])))
    })
  )

  it.effect("keeps a new name through any later transition", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      const status = yield* StatusStore
      const events: Array<string> = []
      yield* settle
      yield* Effect.forkChild(
        Stream.runForEach(status.changes, ({ name, to }) =>
          Effect.sync(() => events.push(`${name} ${to?._tag}`))
        )
      )
      const nameOf1 = Effect.map(status.get("1" as CameraId), (camera) => camera?.name)
      yield* settle
      yield* setRows([row(1, { name: "Gate" })])
      yield* settle
      yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
      assert.strictEqual(yield* nameOf1, "Gate")
      // while the camera of another address waits for the end of the one before it
      fake.endingTakes = 2000
      yield* setRows([row(1, { name: "Door", url: "rtsp://10.0.0.9/live" })])
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* nameOf1, "Door")
      yield* setRows([row(1, { name: "Yard", url: "rtsp://10.0.0.9/live" })])
      yield* TestClock.adjust("10 seconds")
      fake.endingTakes = 0
      assert.strictEqual(yield* nameOf1, "Yard")
      yield* setRows([row(1, { name: "Shed", url: "no address" })])
      yield* settle
      assert.strictEqual(yield* nameOf1, "Shed")
      const settled = ["Live", "Restarting", "Stopping", "Invalid"]
      assert.deepStrictEqual(
        events.filter((event) => settled.some((tag) => event.endsWith(tag))),
        [
          "Gate Restarting",
          "Gate Live",
          "Gate Stopping",
          "Yard Live",
          "Yard Stopping",
          "Shed Invalid"
        ]
      )
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  for (const [what, change] of [
    ["address", { url: "rtsp://10.0.0.9/live" }],
    ["password", { url: "rtsp://admin:new@10.0.0.1/live" }],
    ["path", { path: "gate" }],
    ["options", { options: { audio: "drop" } }]
  ] as const) {
    it.effect(`restarts a camera whose ${what} changed`, () => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* settle
        yield* setRows([row(1, change)])
        yield* settle
        assert.strictEqual(fake.relays.length, 2)
        assert.isDefined(fake.relays[0]!.endedAt)
        assert.strictEqual(yield* tagOf(1), "Live")
      }).pipe(Effect.provide(layer([fake], [row(1)])))
    })
  }

  it.effect("waits for the old relay before it starts the changed one", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 2000
      yield* setRows([row(1, { url: "rtsp://10.0.0.9/live" })])
      yield* TestClock.adjust(1999)
      assert.strictEqual(fake.probes.length, 1)
      assert.strictEqual(yield* tagOf(1), "Stopping")
      yield* TestClock.adjust(1)
      assert.strictEqual(fake.relays.length, 2)
      assert.strictEqual(yield* tagOf(1), "Live")
      assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
      fake.endingTakes = 0
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("waits for the old relay when the camera changes its path, too", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 2000
      yield* setRows([row(1, { path: "gate" })])
      yield* TestClock.adjust(1999)
      assert.strictEqual(fake.probes.length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(fake.relays[1]?.camera.path, "gate")
      fake.endingTakes = 0
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("runs only the last of several changes that come while the old relay ends", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 2000
      for (const host of ["b", "c", "d"]) {
        yield* setRows([row(1, { url: `rtsp://${host}/live` })])
        yield* TestClock.adjust(300)
      }
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(started(fake), ["1 rtsp://10.0.0.1/live cam1", "1 rtsp://d/live cam1"])
      assert.strictEqual(fake.mostAtATime.get("cam1"), 1)
      fake.endingTakes = 0
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("hands a path from one camera to another only when it is free", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 2000
      yield* setRows([row(2, { path: "gate" })])
      yield* TestClock.adjust(1999)
      assert.strictEqual(fake.relays.length, 1)
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* tagOf(2), "Live")
      assert.strictEqual(fake.mostAtATime.get("gate"), 1)
      fake.endingTakes = 0
    }).pipe(Effect.provide(layer([fake], [row(1, { path: "gate" })])))
  })

  it.effect(
    "remembers who owns a path that went from camera to camera while the first ended",
    () => {
      const fake = FakeEngine.make()
      const gate = (id: number) => row(id, { path: "gate" })
      return Effect.gen(function* () {
        yield* settle
        fake.endingTakes = 2000
        yield* setRows([gate(2)])
        yield* TestClock.adjust("1 second")
        yield* setRows([gate(3)])
        yield* TestClock.adjust("2 seconds")
        // 1 and 2 have ended, and both must have left the path to 3
        assert.strictEqual(yield* tagOf(3), "Live")
        yield* setRows([gate(4)])
        yield* TestClock.adjust(1999)
        assert.deepStrictEqual(started(fake).length, 2)
        yield* TestClock.adjust(1)
        assert.strictEqual(yield* tagOf(4), "Live")
        assert.strictEqual(fake.mostAtATime.get("gate"), 1)
        fake.endingTakes = 0
      }).pipe(Effect.provide(layer([fake], [gate(1)])))
    }
  )

  it.effect("lets two cameras swap their paths", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 1000
      yield* setRows([row(1, { path: "b" }), row(2, { path: "a" })])
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* tagOf(1), "Live")
      assert.strictEqual(yield* tagOf(2), "Live")
      assert.deepStrictEqual([...fake.mostAtATime.values()], [1, 1])
      fake.endingTakes = 0
    }).pipe(Effect.provide(layer([fake], [row(1, { path: "a" }), row(2, { path: "b" })])))
  })

  it.effect("marks invalid rows, and runs the valid ones", () => {
    const fake = FakeEngine.make()
    const rows = [
      row(1),
      row(2, { type: "hikvison" }),
      row(3, { type: "hikvision", host: null }),
      row(4, { path: "/gate" }),
      row(5, { path: "cam1" }),
      row(6, { url: null })
    ]
    return Effect.gen(function* () {
      yield* settle
      assert.strictEqual(yield* tagOf(1), "Live")
      const problems: Array<string> = []
      for (const id of [2, 3, 4, 5, 6]) {
        const state = yield* stateOf(id)
        problems.push(state?._tag === "Invalid" ? state.problem : `${id} is ${state?._tag}`)
      }
      assert.deepStrictEqual(problems, [
        'unknown camera type "hikvison"; did you mean hikvision?',
        "column host is missing",
        'the path "/gate" begins or ends with a slash',
        "the path cam1 belongs to camera 1",
        "column url is missing"
      ])
      assert.strictEqual(fake.relays.length, 1)
    }).pipe(Effect.provide(layer([fake], rows)))
  })

  it.effect("starts a row that was corrected, and stops one that became invalid", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      yield* setRows([row(1, { url: "no address" }), row(2)])
      yield* settle
      assert.strictEqual(yield* tagOf(1), "Invalid")
      assert.isDefined(fake.relays[0]!.endedAt)
      assert.strictEqual(yield* tagOf(2), "Live")
    }).pipe(Effect.provide(layer([fake], [row(1), row(2, { url: "no address" })])))
  })

  for (const [what, rows] of [
    ["changes again", [row(1, { path: "q" }), row(2, { path: "p", url: "rtsp://10.0.0.9/live" })]],
    ["goes, and comes back", [row(1, { path: "q" })]],
    ["is spoilt again", [row(1, { path: "q" }), row(2, { path: "/" })]]
  ] as const) {
    it.effect(`runs a corrected row that ${what} while it waits for its path`, () => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* settle
        assert.strictEqual(yield* tagOf(2), "Invalid")
        fake.endingTakes = 3000
        yield* setRows([row(1, { path: "q" }), row(2, { path: "p" })])
        yield* TestClock.adjust("500 millis")
        yield* setRows(rows)
        yield* TestClock.adjust("500 millis")
        yield* setRows([row(1, { path: "q" }), row(2, { path: "p", url: "rtsp://10.0.0.9/live" })])
        yield* TestClock.adjust("10 seconds")
        fake.endingTakes = 0
        assert.strictEqual(yield* tagOf(2), "Live")
        assert.strictEqual(fake.mostAtATime.get("p"), 1)
      }).pipe(Effect.provide(layer([fake], [row(1, { path: "p" }), row(2, { path: "p" })])))
    })
  }

  it.effect("reports that a corrected row that is removed is removed", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      fake.endingTakes = 3000
      yield* setRows([row(1, { path: "q" }), row(2, { path: "p" })])
      yield* TestClock.adjust("500 millis")
      yield* setRows([row(1, { path: "q" })])
      yield* TestClock.adjust("10 seconds")
      fake.endingTakes = 0
      assert.deepStrictEqual(yield* ids, ["1"])
    }).pipe(Effect.provide(layer([fake], [row(1, { path: "p" }), row(2, { path: "p" })])))
  })

  it.effect(
    "restarts a camera whose change a defect interrupted, although its row is unchanged",
    () => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        const status = yield* StatusStore
        const { transition, stopping } = status
        const broken = () => Effect.die(new Error("by a test"))
        yield* settle
        Object.assign(status, { transition: broken, stopping: broken })
        yield* setRows([row(1, { path: "q" })])
        yield* settle
        assert.isDefined(fake.relays[0]!.endedAt)
        Object.assign(status, { transition, stopping })
        yield* setRows([row(1)])
        yield* settle
        assert.strictEqual(yield* tagOf(1), "Live")
        assert.deepStrictEqual(
          fake.relays.map(({ endedAt }) => endedAt === undefined),
          [false, true]
        )
      }).pipe(Effect.provide(layer([fake], [row(1)])))
    }
  )

  it.effect("stops everything when the table is emptied", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      yield* setRows([])
      yield* settle
      assert.deepStrictEqual(yield* ids, [])
      assert.isTrue(fake.relays.every(({ endedAt }) => endedAt !== undefined))
    }).pipe(Effect.provide(layer([fake], [row(1), row(2), row(3)])))
  })

  it.effect("does not restart a camera that left the table while it waited", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      yield* settle
      yield* fake.relays[0]!.end(new Reason.Exited({ status: 1, lastWords: "" }))
      yield* TestClock.adjust("2 seconds")
      yield* setRows([])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(fake.relays.length, 1)
      assert.strictEqual(fake.probes.length, 1)
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("ends every relay when its scope is closed, and logs that if there is any", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      const stopping = () => lines.filter((line) => line.includes("stopping"))
      return Effect.gen(function* () {
        yield* settle.pipe(Effect.provide(layer([fake], [row(1), row(2)])))
        assert.deepStrictEqual(
          fake.relays.map(({ endedAt }) => endedAt),
          [1000, 1000]
        )
        assert.deepStrictEqual(stopping(), ["Info stopping all 2 cameras"])
        yield* settle.pipe(Effect.provide(layer([fake], [])))
        assert.lengthOf(stopping(), 1)
      })
    })
  )

  it.effect("is ready when the first snapshot was applied", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      const supervisor = yield* Supervisor
      yield* settle
      yield* supervisor.ready
      assert.strictEqual(yield* supervisor.reconciliations, 1)
    }).pipe(Effect.provide(layer([fake], [])))
  })

  it.effect("completes a heartbeat between reconciliations, and not while one hangs", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      const supervisor = yield* Supervisor
      const status = yield* StatusStore
      yield* settle
      yield* supervisor.heartbeat
      Object.assign(status, { rename: () => Effect.never })
      yield* setRows([row(1, { name: "Gate" })])
      yield* settle
      const pulse = yield* Effect.forkChild(supervisor.heartbeat)
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(pulse.pollUnsafe())
      assert.strictEqual(yield* tagOf(1), "Live")
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("survives a defect in one camera's change, and retries the change", () => {
    const fake = FakeEngine.make()
    return Effect.gen(function* () {
      const status = yield* StatusStore
      const { rename } = status
      yield* settle
      Object.assign(status, { rename: () => Effect.die(new Error("by a test")) })
      yield* setRows([row(1, { name: "Gate" }), row(2)])
      yield* settle
      assert.strictEqual(yield* tagOf(2), "Live")
      assert.strictEqual((yield* status.get("1" as CameraId))?.name, "Camera 1")
      yield* setRows([row(1, { name: "Gate" })])
      yield* settle
      assert.isUndefined(yield* tagOf(2))
      Object.assign(status, { rename })
      yield* setRows([row(1, { name: "Gate" }), row(3)])
      yield* settle
      assert.strictEqual((yield* status.get("1" as CameraId))?.name, "Gate")
      assert.strictEqual(fake.relays.filter(({ camera }) => camera.id === "1").length, 1)
    }).pipe(Effect.provide(layer([fake], [row(1)])))
  })

  it.effect("survives rows that cannot be decoded at all, and decodes the next ones", () =>
    withLog((lines) => {
      const fake = FakeEngine.make()
      return Effect.gen(function* () {
        yield* settle
        yield* setRows([null as never])
        yield* settle
        assert.strictEqual(yield* tagOf(1), "Live")
        assert.include(lines, "Error internal error while decoding the rows; keeping the cameras")
        yield* setRows([row(1), row(2)])
        yield* settle
        assert.strictEqual(yield* tagOf(2), "Live")
      }).pipe(Effect.provide(layer([fake], [row(1)])))
    })
  )

  for (const [what, broken] of [
    ["break off", Stream.die(new Error("by a test"))],
    ["come to an end", Stream.empty]
  ] as const) {
    it.effect(`resubscribes to the snapshots of a source where they ${what}, and logs that`, () =>
      withLog((lines) => {
        const fake = FakeEngine.make()
        let begun = 0
        const breaking = (own: CameraSource["Service"]): CameraSource["Service"] => ({
          ...own,
          snapshots: Stream.suspend(() =>
            begun++ === 0 ? Stream.concat(Stream.take(own.snapshots, 1), broken) : own.snapshots
          )
        })
        return Effect.gen(function* () {
          yield* settle
          assert.strictEqual(yield* tagOf(1), "Live")
          assert.include(lines, "Error camera source ended unexpectedly; resubscribing in 10s")
          yield* setRows([row(1), row(2)])
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual(yield* tagOf(2), "Live")
          assert.strictEqual(fake.relays.length, 2)
        }).pipe(Effect.provide(layer([fake], [row(1)], undefined, {}, breaking)))
      })
    )
  }

  it.effect("logs the first snapshot once, and nothing while the table stays the same", () => {
    const rows = [row(1), row(2, { enabled: false }), row(3, { url: null })]
    return withLog((lines) =>
      Effect.gen(function* () {
        yield* settle
        yield* setRows([...rows])
        yield* settle
        assert.deepStrictEqual(
          lines.filter((text) => text.includes("cameras")),
          ['Info 2 cameras (1 disabled): started camera 1 "Camera 1"; camera 3 "Camera 3" invalid']
        )
      }).pipe(Effect.provide(layer([FakeEngine.make()], rows)))
    )
  })

  it.effect("probes one channel of a recorder at a time, and other hosts beside it", () => {
    const fake = FakeEngine.make()
    fake.answer = () => Effect.as(Effect.sleep("1 second"), FakeEngine.offer)
    const recorder = [1, 2, 3].map((id) => row(id, { url: `rtsp://10.0.0.100/${id}` }))
    return Effect.gen(function* () {
      yield* TestClock.adjust("5 seconds")
      const at = (id: string) => fake.probes.find((probe) => probe.id === id)?.at
      assert.deepStrictEqual([at("1"), at("2"), at("3"), at("4")], [0, 1000, 2000, 0])
    }).pipe(Effect.provide(layer([fake], [...recorder, row(4)])))
  })
})
