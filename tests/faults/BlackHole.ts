/**
 * An address that takes no connection and refuses none: whoever connects waits, as for a camera behind a
 * firewall that drops packets.
 */
import { Effect } from "effect"
import { type Socket, connect } from "node:net"
import { start } from "../kit/Spawn.ts"

/** Listens with the shortest queue there is; once it is stopped it never accepts. */
const listener = `
const server = require("node:net").createServer()
server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () =>
  console.log("port", server.address().port))
`

/** The address of a black hole that lives as long as the scope. */
export const make = Effect.gen(function* () {
  const { awaitSaid, process: child } = yield* start(process.execPath, ["-e", listener])
  const port = Number((yield* awaitSaid(/port \d+\n/)).slice(5))
  child.kill("SIGSTOP")
  // fill the queue, until the kernel drops whoever knocks
  const sockets: Array<Socket> = []
  yield* Effect.addFinalizer(() => Effect.sync(() => sockets.forEach((one) => one.destroy())))
  for (let isFull = false; !isFull;) {
    isFull = yield* Effect.callback<boolean>((resume) => {
      const socket = connect({ port, host: "127.0.0.1" })
      sockets.push(socket)
      socket.on("error", () => {})
      socket.once("connect", () => resume(Effect.succeed(false)))
      setTimeout(() => resume(Effect.succeed(true)), 500)
    })
  }
  return `rtsp://127.0.0.1:${port}/cam`
})
