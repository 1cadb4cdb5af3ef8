/**
 * The cameras of a benchmark, in a process of their own: any number of them at one port, each sending the
 * same recording a few milliseconds apart from the others.
 */
import { InterleavedFrame, Rtp } from "@restream/core/rtsp"
import type { Socket } from "node:net"
import { cameraAddress } from "./Addresses.ts"
import { listen, type PeerHandlers } from "./Peer.ts"
import { type Burst, record } from "./Recording.ts"

const tickMs = 1
const phases = 40

const { bursts, lengthMs, sdp } = await record()

/** Packets of a track in one round, and what its timestamps advance by. */
const perRound = [0, 1].map((track) => {
  const frames = bursts.flatMap(({ frames }) => frames).filter((frame) => frame[1] === 2 * track)
  const clockRate = track === 0 ? 90_000 : 44_100
  return { packets: frames.length, ticks: Math.round((lengthMs * clockRate) / 1000) }
})
const firstNumber = [0, 1].map((track) => {
  const first = bursts.flatMap(({ frames }) => frames).find((frame) => frame[1] === 2 * track)
  return first === undefined ? 0 : Rtp.sequence(first, InterleavedFrame.headerBytes)
})
/** Numbers within the round are ffmpeg's own; across rounds they go on without a gap. */
const nextNumber = [...firstNumber]

/** A burst as it is in a round: numbers and times go on where the round before ended. */
const inRound = ({ frames }: Burst, round: number): ReadonlyArray<Buffer> => {
  const bytes = Buffer.concat(frames)
  const packets: Array<Buffer> = []
  for (let at = 0; at < bytes.length; at = InterleavedFrame.end(bytes, at)) {
    packets.push(bytes.subarray(at, InterleavedFrame.end(bytes, at)))
    const track = InterleavedFrame.channel(bytes, at) >> 1
    const packet = InterleavedFrame.packetStart(at)
    const number = nextNumber[track]!
    nextNumber[track] = (number + 1) & 0xffff
    bytes.writeUInt16BE(number, packet + 2)
    const time = Rtp.timestamp(bytes, packet) + round * perRound[track]!.ticks
    bytes.writeUInt32BE(time >>> 0, packet + 4)
  }
  return packets
}

const players: ReadonlyArray<Set<Socket>> = Array.from({ length: phases }, () => new Set())
const isQuiet = process.argv.includes("--quiet")
let joined = 0

const handlers: PeerHandlers = {
  describe: () => sdp,
  onStart: (_method, _path, socket) => {
    const group = players[joined++ % phases]!
    group.add(socket)
    return { end: () => group.delete(socket) }
  }
}
const { port } = await listen(handlers)

/** `--addresses N`: the same port of 127.0.0.2 and so on, too, so that each camera can be a host by itself. */
const at = process.argv.indexOf("--addresses")
const addresses = at === -1 ? 1 : Number(process.argv[at + 1])
for (let index = 1; index < addresses; index++) {
  await listen(handlers, { host: cameraAddress(index), port })
}

/**
 * Each packet goes by itself, as over a network: there the packets of a picture arrive one after the
 * other, and wake whoever waits for them one by one. With `--bursts` those of a picture come together.
 */
const isBursting = process.argv.includes("--bursts")

// every packet is made once and goes to all; each phase is some milliseconds behind the one before
const startedAt = performance.now()
const made: Array<{ readonly dueMs: number; readonly packet: Buffer }> = []
const sent = Array.from({ length: phases }, () => 0)
let dropped = 0
let next = 0
/** When the last packet made is due. */
let lastDueMs = 0

const make = (untilMs: number) => {
  for (;;) {
    const round = Math.floor(next / bursts.length)
    const burst = bursts[next % bursts.length]!
    const dueMs = round * lengthMs + burst.atMs
    if (dueMs > untilMs) return
    for (const packet of inRound(burst, round)) {
      lastDueMs = isBursting ? dueMs : Math.max(dueMs, lastDueMs + tickMs)
      made.push({ dueMs: lastDueMs, packet })
    }
    next++
  }
}

setInterval(() => {
  const now = performance.now() - startedAt
  make(now)
  for (const [phase, group] of players.entries()) {
    for (;;) {
      const one = made[sent[phase]! - dropped]
      if (one === undefined || one.dueMs + phase * tickMs > now) break
      sent[phase]!++
      if (!isQuiet) for (const socket of group) socket.write(one.packet)
    }
  }
  const done = Math.min(...sent) - dropped
  made.splice(0, done)
  dropped += done
}, tickMs)

process.send?.({ port })
process.on("disconnect", () => process.exit())
