/** External programs as peers: ffmpeg, GStreamer, MediaMTX. */
import { spawnSync } from "node:child_process"
import { Programs } from "@restream/cli/demo"
import { Effect, type Scope } from "effect"
import { type Ended, run, type Running, start } from "../kit/Spawn.ts"

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

/** What `gstreamer.py` needs to be a camera, and what it needs to take a stream and decode it. */
const gstreamerElements = {
  camera: "videotestsrc x264enc rtph264pay audiotestsrc mulawenc rtppcmupay",
  reader: "rtph264depay avdec_h264 rtppcmudepay mulawdec"
}

const missingElements = `
import gi, sys
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
print(*(name for name in sys.argv[1:] if Gst.ElementFactory.find(name) is None))
`

/** A Python with GStreamer's RTSP server, and the elements that it lacks; the distribution's Python comes first. */
const gstreamerFound = ["/usr/bin/python3", "python3"].flatMap((python) => {
  const elements = Object.values(gstreamerElements).join(" ").split(" ")
  const { status, stdout } = spawnSync(python, ["-c", missingElements, ...elements], {
    encoding: "utf8",
    timeout: 20_000
  })
  return status === 0 ? [{ python, missing: new Set(stdout.trim().split(" ")) }] : []
})[0]

/** Why GStreamer can't be a camera here, or can't read a stream; `undefined`: it can. */
export const gstreamerLacks = (role: keyof typeof gstreamerElements): string | undefined => {
  if (gstreamerFound === undefined) {
    return "no Python with python3-gi and gir1.2-gst-rtsp-server-1.0"
  }
  const missing = gstreamerElements[role]
    .split(" ")
    .filter((name) => gstreamerFound.missing.has(name))
  return missing.length === 0 ? undefined : `GStreamer has no ${missing.join(", ")}`
}

const gstreamerScript = new URL("gstreamer.py", import.meta.url).pathname

/** A GStreamer program, see `gstreamer.py`. The scope kills it. */
export const gstreamer = (...args: ReadonlyArray<string>) =>
  start(gstreamerFound?.python ?? "python3", [gstreamerScript, ...args])

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
