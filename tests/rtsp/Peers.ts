/** External programs as peers: ffmpeg, GStreamer, MediaMTX. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { Programs } from "@restream/cli/demo"
import { Effect, type Scope } from "effect"

const runs = (command: string, args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore", timeout: 20_000 }).status === 0

/** ffmpeg from PATH, or else from the npm package. */
export const ffmpeg: string = Programs.ffmpeg()

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Running {
  readonly process: ChildProcess
  /** The output so far, both stdout and stderr. */
  readonly said: () => string
  /** Succeeds once the output matches. Dies if the program ends before. */
  readonly awaitSaid: (pattern: RegExp) => Effect.Effect<string>
  readonly ended: Effect.Effect<Ended>
}

export interface StartOptions {
  /** Added to the environment of the tests; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
}

/** Starts a program; the scope kills it. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: StartOptions = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(command, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...process.env, ...options.env },
        ...(options.cwd === undefined ? {} : { cwd: options.cwd })
      })
      let stdout = ""
      let stderr = ""
      let code: number | null | undefined
      const watchers = new Set<() => void>()
      const changed = () => watchers.forEach((watcher) => watcher())
      child.stdout.on("data", (chunk: Buffer) => {
        stdout += chunk.toString()
        changed()
      })
      child.stderr.on("data", (chunk: Buffer) => {
        stderr += chunk.toString()
        changed()
      })
      child.on("close", (exit) => {
        code = exit
        changed()
      })
      child.on("error", (error) => {
        stderr += String(error)
        code = -1
        changed()
      })
      const until = <A>(look: () => A | undefined, orDie: () => string | undefined) =>
        Effect.callback<A>((resume) => {
          const watcher = () => {
            const found = look()
            const wrong = found === undefined ? orDie() : undefined
            if (found === undefined && wrong === undefined) return
            watchers.delete(watcher)
            resume(found === undefined ? Effect.die(new Error(wrong)) : Effect.succeed(found))
          }
          watchers.add(watcher)
          watcher()
          return Effect.sync(() => watchers.delete(watcher))
        })
      const running: Running = {
        process: child,
        said: () => stdout + stderr,
        awaitSaid: (pattern) =>
          until(
            () => pattern.exec(stdout + stderr)?.[0],
            () => (code === undefined ? undefined : `${command} ended: ${stdout}${stderr}`)
          ),
        ended: until(
          () => (code === undefined ? undefined : { code, stdout, stderr }),
          () => undefined
        )
      }
      return running
    }),
    ({ ended, process }) =>
      Effect.andThen(
        Effect.sync(() => process.kill("SIGKILL")),
        ended
      )
  )

/** Runs a program until it exits. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: StartOptions = {}
): Effect.Effect<Ended> =>
  Effect.scoped(Effect.flatMap(start(command, args, options), ({ ended }) => ended))

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
