import { assert, describe, it, vi } from "@effect/vitest"
import { Coalescing, NativeEngine } from "@restream/core"
import { Effect, Exit, Layer, Scope } from "effect"
import { once } from "node:events"
import { type AddressInfo, connect, createServer } from "node:net"
import { Child } from "../../bench/Child.ts"
import { job, startRelay } from "../Streams.ts"

const pauseMs = 20
const spanMs = 300

/** Whether the thread rests: it comes round far more seldom then. */
const rests = Effect.callback<boolean>((resume) => {
  const until = performance.now() + spanMs
  let rounds = 0
  const round = () => {
    rounds++
    if (performance.now() < until) setImmediate(round)
    else resume(Effect.succeed(rounds <= spanMs / pauseMs + 5))
  }
  setImmediate(round)
})

/** Any other event of the process keeps it from a rest, and a busy machine looks like one. */
const becomes = (expected: boolean) =>
  Effect.repeat(rests, { until: (isResting) => isResting === expected })

/** Relays between cameras and a media server of another process. */
const makeRelays = Effect.gen(function* () {
  const { child, first } = yield* Effect.promise(() =>
    Child.start<{ readonly port: number }>(new URL("server-process.ts", import.meta.url))
  )
  yield* Effect.addFinalizer(() => Effect.promise(() => child.end()))
  const url = (path: string) => `rtsp://127.0.0.1:${first.port}/${path}`
  const native = NativeEngine.make()
  const flow = (number: number) =>
    Effect.flatMap(
      startRelay(native, job(url("cam"), url(`out${number}`))),
      ({ flowing }) => flowing
    )
  const startSilent = Effect.scoped(startRelay(native, job(url("silent"), url("silent"))))
  return { flow, startSilent }
})

/** Exchanges bytes with a socket of this process, one after the other. */
const exchange = async (times: number) => {
  const server = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1")
  await once(server, "listening")
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1")
  await once(client, "connect")
  for (let time = 0; time < times; time++) {
    client.write("?")
    await once(client, "data")
  }
  client.destroy()
  server.close()
}

describe("Coalescing", () => {
  it.live("rests between rounds while eight relays flow, and none is being started", () =>
    Effect.gen(function* () {
      const { flow, startSilent } = yield* makeRelays
      const coalescing = yield* Scope.make()
      yield* Layer.buildWithScope(Coalescing.layer(pauseMs), coalescing)

      for (let number = 1; number <= 7; number++) yield* flow(number)
      yield* becomes(false)
      const eighth = yield* Scope.make()
      yield* Scope.provide(flow(8), eighth)
      yield* becomes(true)

      const starting = yield* Scope.make()
      yield* Effect.forkIn(startSilent, starting)
      yield* becomes(false)
      yield* Scope.close(starting, Exit.void)
      yield* becomes(true)

      yield* Scope.close(eighth, Exit.void)
      yield* becomes(false)
      yield* flow(9)
      yield* becomes(true)
      yield* Scope.close(coalescing, Exit.void)
      yield* becomes(false)
    })
  )

  it.live("does not delay each message of an exchange that is not a relay's", () =>
    Effect.gen(function* () {
      const { flow } = yield* makeRelays
      yield* Layer.build(Coalescing.layer(pauseMs))
      for (let number = 1; number <= 8; number++) yield* flow(number)
      yield* becomes(true)

      const wait = vi.spyOn(Atomics, "wait")
      yield* Effect.addFinalizer(() => Effect.sync(() => wait.mockRestore()))
      const times = 100
      yield* Effect.promise(() => exchange(times))
      assert.isBelow(wait.mock.calls.length, times / 2)
    })
  )

  it.live("never rests with a pause of nothing", () =>
    Effect.gen(function* () {
      const { flow } = yield* makeRelays
      yield* Layer.build(Coalescing.layer(0))
      for (let number = 1; number <= 8; number++) yield* flow(number)
      yield* becomes(false)
    })
  )
})
