/**
 * Any order of events, in virtual time: rows change, relays end, the media server and the cameras come and
 * go, relays end slowly, operators send commands.
 *
 * The model knows which cameras the table asks for, and which of them an operator stopped. Whatever happens
 * in which order, no two relays ever publish to one path, and when all is well again no camera is left
 * waiting: exactly the cameras that are asked for are live.
 */
import { assert, describe, it } from "@effect/vitest"
import {
  type CameraActor,
  type CameraId,
  type CameraRow,
  MediaServer,
  Reason,
  StatusStore,
  Supervisor
} from "@restream/core"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as FakeEngine from "../kit/FakeEngine.ts"
import { withLog } from "../kit/Log.ts"
import { type FakeServer, layer, row, setRows } from "../kit/Tree.ts"

interface Model {
  /** The cameras that the table asks for, with their paths. */
  readonly desired: Map<number, string>
  /** Those that an operator stopped; some run again because their rows changed. */
  readonly stopped: Set<number>
}

type Services = Effect.Services<ReturnType<typeof setRows>> | MediaServer | StatusStore | Supervisor

interface Real {
  readonly fake: FakeEngine.FakeEngine
  readonly server: FakeServer
  readonly run: <A>(effect: Effect.Effect<A, never, Services>) => Promise<A>
}

const seconds = (time: number) => TestClock.adjust(`${time} seconds`)

/** An event: what it does to the model, and to the tree. */
class Event implements fc.AsyncCommand<Model, Real> {
  readonly name: string
  readonly change: (model: Model) => void
  readonly happen: (real: Real) => Effect.Effect<unknown, never, Services>

  constructor(fields: Pick<Event, "name" | "happen"> & { readonly change?: Event["change"] }) {
    this.name = fields.name
    this.change = fields.change ?? (() => {})
    this.happen = fields.happen
  }

  check(): boolean {
    return true
  }

  async run(model: Model, real: Real): Promise<void> {
    this.change(model)
    await real.run(this.happen(real))
    for (const [path, most] of real.fake.mostAtATime) {
      assert.isAtMost(most, 1, `relays of ${path} at a time`)
    }
  }

  toString(): string {
    return this.name
  }
}

const ids = [1, 2, 3, 4]

interface Row extends CameraRow {
  readonly path: string
  readonly url: string
  readonly enabled: boolean
}

const anyRow: fc.Arbitrary<Row | undefined> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(undefined) },
  {
    weight: 4,
    arbitrary: fc.record({
      path: fc.constantFrom("a", "b", "c", "d"),
      // two hosts, one of them with credentials that are shared
      url: fc.constantFrom("rtsp://10.0.0.1/live", "rtsp://10.0.0.2/live", "rtsp://u:p@10.0.0.3/1"),
      enabled: fc.constantFrom(true, true, true, false)
    })
  }
)

const rowsBecome = (given: ReadonlyArray<Row | undefined>) => {
  const rows = given.flatMap((one, index) => (one === undefined ? [] : [row(index + 1, one)]))
  return new Event({
    name: `rows ${JSON.stringify(given)}`,
    change: ({ desired }) => {
      desired.clear()
      for (const [index, one] of given.entries()) {
        const isFree = one?.enabled === true && ![...desired.values()].includes(one.path)
        if (isFree) desired.set(index + 1, one.path)
      }
    },
    happen: () => setRows(rows)
  })
}

const rowsChange = fc.tuple(...ids.map(() => anyRow)).map(rowsBecome)

/** One camera has the path `a`, another one perhaps `b`: hand-overs, and swaps. */
const pathsMove = fc
  .tuple(fc.constantFrom(...ids), fc.constantFrom(...ids), fc.boolean())
  .map(([a, b, isEnabled]) =>
    rowsBecome(
      ids.map((id) => {
        const url = `rtsp://10.0.0.${id}/live`
        if (id === a) return { path: "a", url, enabled: true }
        return id === b ? { path: "b", url, enabled: isEnabled } : undefined
      })
    )
  )

const commandIsSent = fc
  .tuple(
    fc.constantFrom(...ids),
    fc.constantFrom<CameraActor.Command>("RetryNow", "Restart", "Stop")
  )
  .map(
    ([id, command]) =>
      new Event({
        name: `${command} ${id}`,
        change: ({ stopped }) => {
          if (command === "Stop") stopped.add(id)
          else stopped.delete(id)
        },
        happen: () =>
          Effect.flatMap(Supervisor, ({ send }) => send(String(id) as CameraId, command))
      })
  )

const relayEnds = fc
  .tuple(
    fc.nat(),
    fc.constantFrom<Reason.RelayReason>(
      new Reason.Exited({ status: 1, lastWords: "" }),
      new Reason.ServerGone({ detail: "connection reset" }),
      new Reason.PublisherReplaced(),
      new Reason.Unauthorized({ credentials: "wrong" }),
      new Reason.Stalled({ side: "output", afterMs: 10_000 })
    )
  )
  .map(
    ([n, reason]) =>
      new Event({
        name: `relay ${n} ends: ${reason._tag}`,
        happen: ({ fake }) => {
          const running = fake.relays.filter(({ endedAt }) => endedAt === undefined)
          return running[n % running.length]?.end(reason) ?? Effect.void
        }
      })
  )

const camerasAnswer = fc
  .constantFrom<[string, ReturnType<FakeEngine.FakeEngine["answer"]>]>(
    ["well", Effect.succeed(FakeEngine.offer)],
    ["well, after 2 s", Effect.as(Effect.sleep(2000), FakeEngine.offer)],
    [
      "nothing within 60 s",
      Effect.andThen(
        Effect.sleep(60_000),
        Effect.fail(new Reason.TimedOut({ phase: "requesting the stream", afterMs: 60_000 }))
      )
    ],
    ["that they refuse", Effect.fail(new Reason.Refused({ authority: "10.0.0.1:554" }))],
    [
      "no connection within 4 s",
      Effect.andThen(
        Effect.sleep(4000),
        Effect.fail(new Reason.TimedOut({ phase: "connecting", afterMs: 4000 }))
      )
    ],
    ["wrong password", Effect.fail(new Reason.Unauthorized({ credentials: "wrong" }))],
    ["with a defect", Effect.die(new Error("by a test"))]
  )
  .map(
    ([what, answer]) =>
      new Event({
        name: `cameras answer ${what}`,
        happen: ({ fake }) =>
          Effect.sync(() => {
            fake.answer = () => answer
          })
      })
  )

const serverTurns = fc.boolean().map(
  (isThere) =>
    new Event({
      name: `media server is ${isThere ? "there" : "away"}`,
      happen: ({ server }) =>
        Effect.flatMap(MediaServer, ({ reportFailure }) =>
          Effect.suspend(() => {
            server.isThere = isThere
            return reportFailure
          })
        )
    })
)

const relaysEndAfter = (ms: number) =>
  new Event({
    name: `relays end within ${ms} ms`,
    happen: ({ fake }) =>
      Effect.sync(() => {
        fake.endingTakes = ms
      })
  })

const relaysEndIn = fc.constantFrom(0, 0, 3000, 20_000).map(relaysEndAfter)

const flowing = fc.boolean().map(
  (flowsAtOnce) =>
    new Event({
      name: `media flow ${flowsAtOnce ? "at once" : "late"}`,
      happen: ({ fake }) => Effect.sync(() => Object.assign(fake, { flowsAtOnce }))
    })
)

const timePasses = fc
  .constantFrom(0, 0.001, 0.06, 1, 5, 12, 70)
  .map((time) => new Event({ name: `${time} s pass`, happen: () => seconds(time) }))

const allIsWellAgain = ({ fake, run, server }: Real, { desired, stopped }: Model) =>
  run(
    Effect.gen(function* () {
      const supervisor = yield* Supervisor
      const status = yield* StatusStore
      Object.assign(fake, {
        answer: () => Effect.succeed(FakeEngine.offer),
        flowsAtOnce: true,
        endingTakes: 0
      })
      server.isThere = true
      yield* (yield* MediaServer).reportFailure
      // what ended slowly, and the longest of all delays
      yield* seconds(60)
      for (const relay of fake.relays) yield* relay.flow
      for (const id of stopped) yield* supervisor.send(String(id) as CameraId, "Restart")
      yield* seconds(700)
      const live = (yield* status.all).map(({ id, state }) => `${id} ${state._tag}`)
      const asked = [...desired.keys()].map((id) => `${id} Live`)
      const invalid = live.filter((one) => one.endsWith("Invalid"))
      assert.sameMembers(live, [...asked, ...invalid])
      const running = fake.relays.filter(({ endedAt }) => endedAt === undefined)
      assert.sameMembers(
        running.map(({ camera }) => `${camera.id} ${camera.path}`),
        [...desired].map(([id, path]) => `${id} ${path}`)
      )
      assert.isTrue([...fake.mostAtATime.values()].every((most) => most === 1))
    })
  )

const anyEvents = fc.commands(
  [
    rowsChange,
    rowsChange,
    commandIsSent,
    relayEnds,
    camerasAnswer,
    serverTurns,
    relaysEndIn,
    flowing,
    timePasses,
    timePasses,
    timePasses
  ],
  { maxCommands: 40 }
)

/** Many hand-overs of few paths while relays end slowly. */
const anyHandOvers = fc.commands(
  [
    pathsMove,
    fc
      .constant(0.5)
      .map((time) => new Event({ name: `${time} s pass`, happen: () => seconds(time) })),
    fc
      .integer({ min: 1, max: 4 })
      .map((time) => new Event({ name: `${time} s pass`, happen: () => seconds(time) })),
    fc.constantFrom(2000, 2000, 0).map(relaysEndAfter)
  ],
  { maxCommands: 30 }
)

const runs = Number(process.env["INTERLEAVINGS"] ?? 100)

const holdsFor = (events: fc.Arbitrary<Iterable<fc.AsyncCommand<Model, Real>>>) =>
  fc.assert(
    fc.asyncProperty(events, (events) => {
      const fake = FakeEngine.make()
      const server = { isThere: true }
      const model: Model = { desired: new Map(), stopped: new Set() }
      return Effect.runPromise(
        withLog(() =>
          Effect.gen(function* () {
            const real: Real = {
              fake,
              server,
              run: Effect.runPromiseWith(yield* Effect.context<Services>())
            }
            yield* Effect.promise(() => fc.asyncModelRun(() => ({ model, real }), events))
            yield* Effect.promise(() => allIsWellAgain(real, model))
          }).pipe(Effect.provide(layer([fake], [], server)))
        ).pipe(Effect.provide(TestClock.layer()))
      )
    }),
    { numRuns: runs }
  )

describe("the supervisor and its cameras", () => {
  it(`keep to one relay for each path, and leave no camera waiting, in ${runs} orders of events`, () =>
    holdsFor(anyEvents))

  it(`keep to one relay for each path in ${runs} orders of hand-overs`, () =>
    holdsFor(anyHandOvers))
})
