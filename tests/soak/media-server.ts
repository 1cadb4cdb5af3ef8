/** The media server of a soak, in a process of its own: tells who publishes, and whether anybody was put out. */
import { RtspServer } from "@restream/core/testing"
import { Effect, PubSub } from "effect"
import { serverAddress, serverPort } from "./Addresses.ts"

/** The paths whose media came on in the last two seconds. */
export interface PathsEvent {
  readonly event: "paths"
  readonly live: ReadonlyArray<string>
}

/** A publisher came to a path where another one still was. */
export interface TakeoverEvent {
  readonly event: "takeover"
  readonly path: string
}

const lookMs = 1000

const [block] = process.argv.slice(2).map(Number) as [number]

Effect.gen(function* () {
  const server = yield* RtspServer.make({ host: serverAddress(block), port: serverPort })
  const events = yield* server.events
  yield* Effect.forkScoped(
    Effect.forever(
      Effect.map(PubSub.take(events), (event) => {
        if (event._tag !== "Ended" || !event.why.includes("replaced by another publisher")) return
        process.send?.({ event: "takeover", path: event.path ?? "" } satisfies TakeoverEvent)
      })
    )
  )

  const packetsBefore = new Map<string, number>()
  let cameOnBefore = new Set<string>()
  const look = Effect.gen(function* () {
    const cameOn = new Set<string>()
    const live: Array<string> = []
    for (const { packets, path, publisher } of yield* server.paths) {
      if (packets > (packetsBefore.get(path) ?? 0)) cameOn.add(path)
      packetsBefore.set(path, packets)
      if (publisher === undefined) continue
      if (cameOn.has(path) || cameOnBefore.has(path)) live.push(path)
    }
    cameOnBefore = cameOn
    process.send?.({ event: "paths", live } satisfies PathsEvent)
  })
  const services = yield* Effect.context<never>()
  setInterval(() => Effect.runForkWith(services)(look), lookMs)
  process.on("message", ({ kick }: { readonly kick: ReadonlyArray<string> }) =>
    Effect.runForkWith(services)(
      Effect.map(Effect.forEach(kick, server.kick), () => process.send?.({}))
    )
  )
  process.send?.({ ready: true })
  yield* Effect.callback<void>((resume) => {
    process.on("disconnect", () => resume(Effect.void))
    process.on("SIGTERM", () => resume(Effect.void))
  })
})
  .pipe(Effect.scoped, Effect.runPromise)
  .then(() => process.exit())
