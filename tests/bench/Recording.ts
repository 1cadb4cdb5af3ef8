/**
 * A few seconds of a real camera's packets, to be played again and again.
 *
 * ffmpeg encodes them once: 1280x720 at 25 pictures a second, H.264 at about 2 Mbit/s with a keyframe each
 * second, and AAC at 44.1 kHz.
 */
import { Programs } from "@restream/cli/demo"
import { InterleavedFrame, Sdp } from "@restream/core/rtsp"
import { Result } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { listen } from "./Peer.ts"

/** What is sent at one moment: the frames of a picture, or one of sound. */
export interface Burst {
  /** From the beginning of the recording, in milliseconds. */
  readonly atMs: number
  /** Interleaved frames; video has the channels 0 and 1, sound 2 and 3. */
  readonly frames: ReadonlyArray<Buffer>
}

export interface Recording {
  readonly sdp: string
  readonly lengthMs: number
  readonly bursts: ReadonlyArray<Burst>
}

const seconds = 8
const settleMs = 1500

/** Records what ffmpeg publishes, in real time. */
export const record = async (): Promise<Recording> => {
  const bursts: Array<{ readonly atMs: number; readonly frames: Array<Buffer> }> = []
  let sdp = ""
  let startedAt = 0
  const { port, server } = await listen({
    onAnnounce: (_path, announced) => {
      sdp = announced
    },
    onStart: () => ({
      frames: (bytes, start, end) => {
        startedAt ||= performance.now()
        const atMs = performance.now() - startedAt
        for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
          // reports belong to their moment, and these will be played again
          if ((InterleavedFrame.channel(bytes, at) & 1) === 1) continue
          const frame = Buffer.from(bytes.subarray(at, InterleavedFrame.end(bytes, at)))
          const last = bursts.at(-1)
          const isSame =
            last !== undefined &&
            atMs - last.atMs < 1 &&
            InterleavedFrame.channel(last.frames[0]!, 0) === InterleavedFrame.channel(frame, 0)
          if (isSame) last.frames.push(frame)
          else bursts.push({ atMs, frames: [frame] })
        }
      }
    })
  })
  const duration = seconds + settleMs / 1000
  const ffmpeg = spawn(
    Programs.ffmpeg(),
    [
      ..."-nostdin -loglevel error -re -f lavfi -i testsrc2=size=1280x720:rate=25".split(" "),
      ..."-f lavfi -i sine=frequency=440:sample_rate=44100".split(" "),
      ...`-t ${duration} -c:v libx264 -preset ultrafast -tune zerolatency -g 25`.split(" "),
      ..."-b:v 2M -maxrate 2M -bufsize 2M -pix_fmt yuv420p -c:a aac -b:a 96k".split(" "),
      ...`-f rtsp -rtsp_transport tcp rtsp://127.0.0.1:${port}/recording`.split(" ")
    ],
    { stdio: ["ignore", "ignore", "inherit"] }
  )
  const [code] = (await once(ffmpeg, "exit")) as [number]
  server.close()
  if (code !== 0 || bursts.length === 0) throw new Error(`ffmpeg ended with ${code}`)
  // the beginning comes in one lump, until ffmpeg has caught up with its own clock
  const settled = bursts.filter(({ atMs }) => atMs >= settleMs)
  return {
    sdp: described(sdp),
    lengthMs: seconds * 1000,
    bursts: settled
      .map(({ atMs, frames }) => ({ atMs: atMs - settleMs, frames }))
      .filter(({ atMs }) => atMs < seconds * 1000)
  }
}

/** The announcement as a camera would describe it. */
const described = (sdp: string): string => {
  const description = Result.getOrThrow(Sdp.parse(sdp))
  return Sdp.render({
    ...description,
    control: undefined,
    medias: description.medias.map((media, index) => ({ ...media, control: `track${index}` }))
  })
}
