/** External programs as peers: ffmpeg, GStreamer, MediaMTX. */
import { spawnSync } from "node:child_process"
import { Programs } from "@restream/cli/demo"
import { Effect, type Scope } from "effect"
import { type Ended, run, type Running, start } from "../kit/Spawn.ts"

const runs = (command: string, args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore", timeout: 20_000 }).status === 0

/** ffmpeg from PATH, or else from the npm package. */
export const ffmpeg: string = Programs.ffmpeg()

/** Reads a number of frames from a stream, and returns the hash of each. */
export const readFrames = (url: string, pictures: number): Effect.Effect<Ended> =>
  run(ffmpeg, [
    "-nostdin",
    "-hide_banner",
    "-loglevel",
    "error",
    "-rtsp_transport",
    "tcp",
    "-i",
    url,
    "-frames:v",
    String(pictures),
    "-f",
    "framemd5",
    "-"
  ])

/** Publishes a test picture and a tone, H.264 and AAC, until the scope closes. */
export const publishWithFfmpeg = (
  url: string,
  options: { readonly audio?: boolean } = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  start(ffmpeg, [
    "-nostdin",
    "-hide_banner",
    "-loglevel",
    "error",
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc=size=320x180:rate=15",
    ...(options.audio === false ? [] : ["-f", "lavfi", "-i", "sine=sample_rate=44100"]),
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-g",
    "15",
    "-pix_fmt",
    "yuv420p",
    ...(options.audio === false ? [] : ["-c:a", "aac", "-b:a", "64k"]),
    "-f",
    "rtsp",
    "-rtsp_transport",
    "tcp",
    url
  ])

/** The Python with GStreamer's RTSP server; the distribution's Python comes first. */
export const gstreamerPython: string | undefined = ["/usr/bin/python3", "python3"].find((python) =>
  runs(python, [
    "-c",
    "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
  ])
)

const gstreamerScript = new URL("gstreamer.py", import.meta.url).pathname

/** A GStreamer program, see `gstreamer.py`. The scope kills it. */
export const gstreamer = (...args: ReadonlyArray<string>) =>
  start(gstreamerPython ?? "python3", [gstreamerScript, ...args])

/** A GStreamer server, and its port. */
export const serving = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const running = yield* gstreamer(...args)
  const said = yield* running.awaitSaid(/port \d+/)
  return { running, port: Number(said.slice("port ".length)) }
})

/** MediaMTX's binary, from the environment. */
export const mediaMtx: string | undefined = process.env["MEDIAMTX_BIN"]

/** Logs why a suite is skipped. */
export const skipped = (what: string, why: string): void => {
  console.log(`skipped: ${what} (${why})`)
}
