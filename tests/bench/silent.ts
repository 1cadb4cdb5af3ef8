/** Cameras that take a connection and never say a word; the port next to them, which refuses, is told too. */
import { once } from "node:events"
import { createServer } from "node:net"
import { cameraAddress } from "./Addresses.ts"

const count = Number(process.argv[2])

const listen = async (index: number, port: number) => {
  const server = createServer((socket) => socket.on("error", () => {}).resume())
  server.listen({ host: cameraAddress(index), port })
  await once(server, "listening")
  const address = server.address()
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 }
}

// held for a moment, so that the port is one that nobody uses
const refusing = await listen(0, 0)
const { port } = await listen(0, 0)
for (let index = 1; index < count; index++) await listen(index, port)
refusing.server.close()

process.send?.({ port, refusedPort: refusing.port })
process.on("disconnect", () => process.exit())
