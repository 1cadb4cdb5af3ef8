/** The HTTP server of the daemon as a process of its own. */
import { assert, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { StatusTable } from "@restream/core"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { anyFfmpeg } from "../engine/ffmpeg/Binaries.ts"
import { restream } from "../kit/Command.ts"
import { until } from "../kit/Eventually.ts"
import * as Daemon from "../kit/Daemon.ts"
import { hasIpv6 } from "../kit/Ipv6.ts"
import { Postgres } from "../kit/Postgres.ts"
import { problemsOf, valuesOf } from "../metrics/ExpositionRules.ts"
import { program } from "../kit/Program.ts"
import { standIn } from "../media-server/ApiServers.ts"
import * as Site from "../kit/Site.ts"
import { run, start } from "../kit/Spawn.ts"

/** A daemon with one live camera and its HTTP server on a free port. */
const running = Effect.gen(function* () {
  const site = yield* Site.make
  const paths = yield* site.insertCameras("native", 1)
  for (const statement of StatusTable.initStatements({ schema: undefined, name: "states" })) {
    yield* site.sql.unsafe(statement)
  }
  const { apiUrl } = yield* standIn({ server: site.sink })
  const daemon = yield* Daemon.start({
    env: {
      ...site.env,
      RESTREAM_HTTP_ENABLED: "yes",
      RESTREAM_HTTP_PORT: "0",
      RESTREAM_DATABASE_STATUS_TABLE: "states",
      RESTREAM_MEDIA_SERVER_API_URL: Redacted.value(apiUrl),
      RESTREAM_MEDIA_SERVER_CHECK_INTERVAL: "100ms"
    }
  })
  const { origin: url } = yield* Daemon.httpUrl(daemon)
  yield* site.awaitLive(paths)
  return { site, daemon, url, paths }
})

const json = (url: string) =>
  Effect.promise(() => fetch(url).then((response) => response.json() as Promise<any>))

/** Done when the daemon has read the media server's API. */
const isOnline = (url: string) =>
  json(`${url}/api/cameras`).pipe(
    Effect.delay("50 millis"),
    Effect.repeat({ until: ({ cameras }) => cameras[0]?.mediaServer?.isOnline === true })
  )

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  it.effect("the daemon reports its cameras", () =>
    Effect.gen(function* () {
      const { site, url } = yield* running
      yield* isOnline(url)
      const { cameras, tally } = yield* json(`${url}/api/cameras`)
      assert.deepInclude(cameras[0].mediaServer, { isOnline: true, readers: 0 })
      assert.strictEqual(tally.ok, 1)
      assert.deepInclude(cameras[0], { word: "ok", engine: "native", path: "native1" })
      assert.strictEqual((yield* json(`${url}/health/ready`)).isOk, true)
      const rows = yield* site.sql`select id, name, state, reason from states`.pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ([row]) => row?.["state"] === "ok" })
      )
      assert.deepStrictEqual(rows, [{ id: "1", name: "native1", state: "ok", reason: null }])
      const metrics = yield* Effect.promise(() =>
        fetch(`${url}/metrics`).then((response) => response.text())
      )
      assert.deepStrictEqual(problemsOf(metrics), [])
      const values = valuesOf(metrics)
      assert.strictEqual(values.get('restream_cameras{state="live"}'), 1)
      assert.strictEqual(values.get('restream_cameras{state="unreachable"}'), 0)
      assert.isAbove(
        values.get('restream_camera_relayed_bytes_total{camera="1",path="native1"}')!,
        0
      )
      assert.isTrue(values.has('restream_probe_duration_seconds_count{outcome="answered"}'))
      assert.strictEqual(values.get('restream_camera_online{camera="1",path="native1"}'), 1)
      assert.strictEqual(values.get('restream_camera_readers{camera="1",path="native1"}'), 0)
      assert.isTrue(
        values.has('restream_camera_server_received_bytes_total{camera="1",path="native1"}')
      )
      assert.isTrue(values.has("restream_cameras_offline_at_media_server"))
      assert.isTrue(values.has("restream_media_server_api_up"))
    })
  )

  it.effect("the daemon ends with ten open event streams, each with a bye", () =>
    Effect.gen(function* () {
      const { daemon, url } = yield* running
      const texts = Array.from({ length: 10 }, () => "")
      const ends: Array<string> = []
      for (const [index] of texts.entries()) {
        const read = async () => {
          const response = await fetch(`${url}/api/events`)
          const decoder = new TextDecoder()
          for await (const chunk of response.body!) texts[index] += decoder.decode(chunk)
          return "ended"
        }
        void read().then(
          (end) => ends.push(end),
          (error: unknown) => ends.push(String(error))
        )
      }
      yield* until("ten snapshots", () => texts.every((text) => text.includes("event: beat")))
      const before = performance.now()
      yield* daemon.signal("SIGTERM")
      const { code } = yield* daemon.exit
      const ms = performance.now() - before
      assert.strictEqual(code, 0)
      // 0.3 s on a quiet machine; without the end of the streams it takes the shutdown timeout of 1 s
      // and each stream breaks
      yield* until("ten ends", () => ends.length === 10)
      assert.deepStrictEqual(new Set(ends), new Set(["ended"]))
      assert.isTrue(texts.every((text) => text.includes("event: bye")))
      process.stdout.write(`SIGTERM with ten open event streams: ${Math.round(ms)} ms\n`)
    })
  )

  it.effect(
    "the daemon relays although its port is taken, and takes the port when it is free",
    () =>
      Effect.gen(function* () {
        const taken = createServer()
        yield* Effect.callback<void>((resume) => {
          taken.listen(0, "127.0.0.1", () => resume(Effect.void))
        })
        const { port } = taken.address() as { readonly port: number }
        const site = yield* Site.make
        const paths = yield* site.insertCameras("native", 1)
        const daemon = yield* Daemon.start({
          env: { ...site.env, RESTREAM_HTTP_ENABLED: "yes", RESTREAM_HTTP_PORT: String(port) }
        })
        yield* daemon.awaitLine(/HTTP server cannot listen on 127.0.0.1:\d+: another program/)
        yield* site.awaitLive(paths)
        taken.close()
        yield* daemon.awaitLine(/HTTP server listens on/)
        assert.strictEqual((yield* json(`http://127.0.0.1:${port}/api/cameras`)).total, 1)
        const complaints = daemon.stderr.filter((line) => /cannot listen/.test(line))
        assert.strictEqual(complaints.length, 1)
      })
  )

  it.effect("status, retry and restart reach the daemon, with the documented exit statuses", () =>
    Effect.gen(function* () {
      const { site, url } = yield* running
      const restreamAt =
        (port: string) =>
        (...args: ReadonlyArray<string>) =>
          Effect.flatMap(
            start(process.execPath, [program, ...args], { env: { RESTREAM_HTTP_PORT: port } }),
            ({ ended }) => ended
          )
      const restream = restreamAt(new URL(url).port)

      const well = yield* restream("status")
      assert.deepStrictEqual([well.code, well.stdout.trim()], [0, "The camera is live."])
      yield* site.insert([{ name: "Gate", url: "rtsp://127.0.0.1:1/x" }])
      yield* json(`${url}/api/cameras?word=down`).pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ({ total }) => total === 1 })
      )

      const problem = yield* restream("status")
      assert.strictEqual(problem.code, 1)
      const lines = problem.stdout.trim().split("\n")
      assert.strictEqual(lines[0], "1 of 2 cameras is live; 1 needs attention.")
      assert.match(lines[1]!, /^- connection refused by 127\.0\.0\.1:1 \(1 camera\), since /)
      assert.match(lines.at(-1)!, /^2 +Gate +down .*connection refused by 127\.0\.0\.1:1/)
      yield* isOnline(url)
      const listed = yield* restream("status", "--all")
      assert.match(listed.stdout, /^ID +NAME +STATE +SINCE +BITRATE +READERS +RESTARTS\/H/m)
      assert.match(listed.stdout, /^1 +native1 +ok .* 0 +0 +h264/m)
      const all = yield* restream("status", "--all", "--json")
      assert.strictEqual(JSON.parse(all.stdout).cameras.length, 2)

      const one = yield* restream("status", "1")
      assert.strictEqual(one.code, 0)
      assert.match(one.stdout, /^camera 1 "native1": ok for .*\n {2}stream +h264/)
      assert.match(one.stdout, /\n {2}webrtc +http:.*\n {2}hls +http:.*\n {2}rtsp +rtsp:/)
      const several = yield* restream("status", "2", "99", "--json")
      assert.strictEqual(several.code, 1)
      assert.deepStrictEqual(
        JSON.parse(several.stdout).cameras.map(({ id }: { id: string }) => id),
        ["2"]
      )
      assert.include(several.stderr, 'no camera has the id "99"')

      const retried = yield* restream("retry", "2")
      assert.deepStrictEqual(
        [retried.code, retried.stdout.trim()],
        [0, "camera 2: the camera is tried now"]
      )
      const absent = yield* restream("restart", "2")
      assert.include(absent.stdout, "camera 2: the camera has no relay to restart")
      const restarted = yield* restream("restart", "1", "99")
      assert.strictEqual(restarted.code, 1)
      assert.include(restarted.stdout, "camera 1: the relay is restarted")
      assert.include(restarted.stderr, 'no camera has the id "99"')

      yield* json(`${url}/api/cameras?word=ok`).pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ({ total }) => total === 1 })
      )

      // a reader that has read enough ends what it read from
      for (const flags of ["--json", "--all"]) {
        const line = `"${process.execPath}" "${program}" status --watch ${flags} | head -1`
        const watched = yield* Effect.flatMap(
          start("sh", ["-c", line], { env: { RESTREAM_HTTP_PORT: new URL(url).port } }),
          ({ ended }) => ended
        )
        assert.strictEqual(watched.code, 0, watched.stderr)
        assert.match(watched.stdout, /^(?:{"event":"snapshot".*|1 of 2 cameras is live.*)\n$/)
        assert.strictEqual(watched.stderr, "")
      }

      yield* site.insert([{ name: "Yard", url: "rtsp://yard.invalid/x" }])
      yield* json(`${url}/api/cameras?word=down`).pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ({ total }) => total === 2 })
      )
      // the host is named once
      const unresolved = yield* restream("status")
      assert.match(
        unresolved.stdout,
        /^- cannot resolve host "yard\.invalid": (no such host|the name server did not answer) \(1 camera\), since /m
      )

      const nowhere = yield* restreamAt("1")("status")
      assert.deepStrictEqual([nowhere.code, nowhere.stdout], [2, ""])
      assert.match(nowhere.stderr, /^no daemon listens on http:\/\/127\.0\.0\.1:1;/)
    })
  )

  it.effect("snapshot writes a picture that ffmpeg decodes, or prints why there is none", () =>
    Effect.gen(function* () {
      const { site, url } = yield* running
      yield* site.insertCameras("ffmpeg", 1)
      yield* site.insert([{ name: "Gate", url: "rtsp://127.0.0.1:1/x" }])
      yield* json(`${url}/api/cameras`).pipe(
        Effect.delay("50 millis"),
        Effect.repeat({ until: ({ tally }) => tally.ok === 2 && tally.down === 1 })
      )
      const folder = mkdtempSync(join(tmpdir(), "restream-snapshot-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const file = join(folder, "picture.mp4")
      const snapshot = (id: string, port = new URL(url).port) =>
        run(
          "/bin/sh",
          ["-c", '"$0" "$1" snapshot "$2" > "$3"', process.execPath, program, id, file],
          {
            env: { RESTREAM_HTTP_PORT: port }
          }
        )

      const taken = yield* snapshot("1")
      assert.deepStrictEqual([taken.code, taken.stderr], [0, ""])
      const decoded = yield* run(anyFfmpeg, [
        ..."-nostdin -hide_banner -loglevel error -i".split(" "),
        file,
        ..."-f framemd5 -".split(" ")
      ])
      assert.deepStrictEqual([decoded.code, decoded.stderr], [0, ""])
      assert.include(decoded.stdout, "#dimensions 0: 64x64")
      assert.strictEqual(decoded.stdout.trim().split("\n").at(-1)?.split(",").length, 6)

      for (const [id, reason] of [
        ["2", /relayed by ffmpeg, and pictures are taken by the native engine only/],
        ["3", /not live: connection refused by 127\.0\.0\.1:1/],
        ["99", /^no camera has the id "99"$/m]
      ] as const) {
        const { code, stderr } = yield* snapshot(id)
        assert.strictEqual(code, 1)
        assert.match(stderr, reason)
        assert.strictEqual(readFileSync(file).length, 0)
      }
      const nowhere = yield* snapshot("1", "1")
      assert.strictEqual(nowhere.code, 2)
      assert.match(nowhere.stderr, /^no daemon listens on http:\/\/127\.0\.0\.1:1;/)
    })
  )

  it.effect("status reports that the camera list was not read yet", () =>
    Effect.gen(function* () {
      const daemon = yield* Daemon.start({
        env: {
          PG_DSN: "postgres://nobody:x@127.0.0.1:1/x",
          RESTREAM_HTTP_ENABLED: "yes",
          RESTREAM_HTTP_PORT: "0"
        }
      })
      const { port } = yield* Daemon.httpUrl(daemon)
      yield* daemon.awaitLine(/127\.0\.0\.1:1/)
      const { ended } = yield* start(process.execPath, [program, "status"], {
        env: { RESTREAM_HTTP_PORT: port }
      })
      const { code, stdout } = yield* ended
      assert.strictEqual(code, 1)
      assert.match(stdout, /^The camera list has not been read yet\.\n/)
      assert.match(stdout, /camera list cannot be read: connection refused by 127\.0\.0\.1:1/)
    })
  )

  it.effect("status --watch follows the changes until the daemon stops", () =>
    Effect.gen(function* () {
      const { daemon, site, url } = yield* running
      const env = { RESTREAM_HTTP_PORT: new URL(url).port }
      const watching = yield* start(process.execPath, [program, "status", "--watch", "--json"], {
        env
      })
      yield* watching.awaitSaid(/"event":"beat"/)
      yield* site.sql`update cameras set enabled = false`
      yield* watching.awaitSaid(/"removed":\["1"\]/)
      yield* daemon.signal("SIGTERM")
      const { code, stderr, stdout } = yield* watching.ended
      assert.strictEqual(code, 2)
      assert.match(stderr, /has stopped/)
      const events = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.deepStrictEqual([events[0].event, events.at(-1).event], ["snapshot", "bye"])
    })
  )

  it.effect("commands reach a daemon that listens on any loopback address", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      for (const host of [...(hasIpv6 ? ["::1"] : []), "127.0.0.2", "localhost"]) {
        const env = { ...site.env, RESTREAM_HTTP_ENABLED: "yes", RESTREAM_HTTP_HOST: host }
        const daemon = yield* Daemon.start({ env: { ...env, RESTREAM_HTTP_PORT: "0" } })
        const { port } = yield* Daemon.httpUrl(daemon)
        const { code, stderr, stdout } = yield* restream(["status"], {
          ...env,
          RESTREAM_HTTP_PORT: port
        })
        assert.strictEqual(code, 0, `${host}: ${stderr}`)
        assert.include(stdout, "The camera list is empty.")
        yield* daemon.signal("SIGTERM")
        yield* daemon.exit
      }
    })
  )

  it.effect("the daemon refuses to start on a public address without a token", () =>
    Effect.gen(function* () {
      const site = yield* Site.make
      const daemon = yield* Daemon.start({
        env: { ...site.env, RESTREAM_HTTP_ENABLED: "yes", RESTREAM_HTTP_HOST: "0.0.0.0" }
      })
      const { code } = yield* daemon.exit
      assert.strictEqual(code, 2)
      assert.strictEqual(daemon.stderr.length, 1)
      assert.match(daemon.stderr[0]!, /http\.host .*set http\.token/)
    })
  )
})
