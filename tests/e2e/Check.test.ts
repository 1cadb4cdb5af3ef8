import { assert, layer } from "@effect/vitest"
import { freePort, TestPattern } from "@restream/core/testing"
import { Effect, PubSub, Redacted } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { Postgres } from "../kit/Postgres.ts"
import { run } from "../kit/Spawn.ts"
import { invocation, restream } from "../kit/Command.ts"
import * as Site from "../kit/Site.ts"

/** A table with one camera of every sort. */
const make = Effect.gen(function* () {
  const installation = yield* Site.asInstalled
  const { cameras, env, sql } = installation
  yield* cameras.configure("locked", {
    authentication: { username: "admin", password: Redacted.make("right"), actions: ["read"] }
  })
  yield* cameras.configure("silent", { quirks: { silentAt: "DESCRIBE" } })
  const closed = yield* freePort
  const address = new URL(cameras.url("locked"))
  yield* sql`insert into cameras ${sql.insert([
    { name: "Good", type: "url", url: cameras.url("cam1"), enabled: true },
    { name: "Refused", type: "url", url: `rtsp://127.0.0.1:${closed}/`, enabled: true },
    {
      name: "Locked",
      type: "url",
      url: `rtsp://admin:Wr0ngSecret@${address.host}/locked`,
      enabled: true
    },
    { name: "Silent", type: "url", url: cameras.url("silent"), enabled: true },
    { name: "Typo", type: "hikvison", url: null, enabled: true },
    { name: "Off", type: "url", url: cameras.url("cam1"), enabled: false }
  ])}`
  const check = (...args: ReadonlyArray<string>) =>
    restream(["check", ...args], { ...env, RESTREAM_PROBE_TIMEOUT: "2s" })
  return { ...installation, check }
})

const terminal = new URL("terminal.py", import.meta.url).pathname

/** A check of a thousand cameras, whose document is not read. */
const unread = Effect.gen(function* () {
  const { env, sql } = yield* Site.asInstalled
  yield* sql`insert into cameras (type) select 'hikvison' from generate_series(1, 1000)`
  const { command, environment } = invocation(["check", "--json"], env)
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, command, {
        env: { ...process.env, ...environment },
        stdio: ["ignore", "pipe", "inherit"]
      })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const exit = once(child, "exit")
  // all that a pipe takes is in it
  yield* Effect.promise(() => once(child.stdout, "readable"))
  return {
    child,
    exited: Effect.map(
      Effect.promise(() => exit),
      ([code]) => code as number | null
    )
  }
})

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "restream check",
  (it) => {
    it.effect("names what is wrong with which camera, and how many are", () =>
      Effect.gen(function* () {
        const { check } = yield* make
        const { code, stderr, stdout } = yield* check()
        assert.strictEqual(code, 1)
        const [heading, ...rows] = stdout.trim().split("\n")
        assert.match(heading ?? "", /^ID +CAMERA +TYPE +STATE +HEALTH +VIDEO +AUDIO +TIME +REASON$/)
        assert.strictEqual(rows.length, 5)
        assert.match(rows[0] ?? "", /^1 +Good +url +ok +good +h264 64x64 +pcm_mulaw +\d/)
        assert.match(rows[1] ?? "", /^2 +Refused +url +unreachable .*refused/)
        assert.match(rows[2] ?? "", /^3 +Locked +url +unreachable .*wrong user name or password$/)
        assert.match(
          rows[3] ?? "",
          /^4 +Silent +url +unreachable .*2\.\d+ s .*no response to DESCRIBE/
        )
        assert.match(rows[4] ?? "", /^5 +Typo +hikvison +invalid .*did you mean hikvision/)
        assert.match(
          stderr,
          /^warning: G.711 audio: no sound by HLS \(camera 1\)\n4 failed: 1 connection refused, 1 authentication failed, 1 timed out, 1 invalid row\n5 cameras: 1 ok, 4 failed, 1 disabled, in \d+\.\d s\n$/
        )
        assert.notInclude(stdout + stderr, "Wr0ngSecret")
      })
    )

    it.effect("lists the wrong cameras last, by their reasons, or alone", () =>
      Effect.gen(function* () {
        const { cameras, check, sql } = yield* make
        yield* sql`insert into cameras ${sql.insert([
          { name: "Good too", type: "url", url: cameras.url("cam1") },
          { name: "Typo too", type: "dahuaa", url: null }
        ])}`
        const idsOf = (text: string) =>
          text
            .trim()
            .split("\n")
            .slice(1)
            .map((row) => row.split(" ")[0])
        const all = yield* check()
        assert.deepStrictEqual(idsOf(all.stdout), ["1", "7", "5", "8", "2", "3", "4"])
        assert.match(all.stderr, /^5 failed: 2 invalid rows, 1 connection refused, /m)
        const wrong = yield* check("--wrong")
        assert.deepStrictEqual(idsOf(wrong.stdout), ["5", "8", "2", "3", "4"])
        assert.match(wrong.stderr, /\n7 cameras: 2 ok, 5 failed, /)
        const json = JSON.parse((yield* check("--wrong", "--json")).stdout)
        assert.deepInclude(json, { total: 7, ok: 2, wrong: 5, disabled: 1 })
        assert.strictEqual(json.cameras.length, 5)
        assert.isNull(json.cameras.find(({ id }: { id: string }) => id === "5").playerUrls)
        const refused = json.cameras.find(({ id }: { id: string }) => id === "2")
        assert.match(refused.playerUrls.webrtc, /^http:\/\/127\.0\.0\.1:8889\/[\w-]*2$/)
        const none = yield* check("--wrong", "--camera", "1")
        assert.strictEqual(none.stdout, "")
        assert.match(none.stderr, /^1 camera: 1 ok, 0 failed, in \d+\.\d s\n$/)
      })
    )

    it.effect("warns about what browsers do not play", () =>
      Effect.gen(function* () {
        const { cameras, check, sql } = yield* make
        const hevc = ["m=video 0 RTP/AVP 96", "a=rtpmap:96 H265/90000", "m=audio 0 RTP/AVP 0"]
        const sdp = (media: ReadonlyArray<string>) =>
          ["v=0", "s=-", "t=0 0", ...media, ""].join("\r\n")
        yield* cameras.publish("hevc", sdp(hevc))
        yield* cameras.publish("mjpeg", sdp(["m=video 0 RTP/AVP 26"]))
        yield* sql`insert into cameras ${sql.insert([
          { name: "H.265", type: "url", url: cameras.url("hevc") },
          { name: "H.265 too", type: "url", url: cameras.url("hevc") },
          { name: "MJPEG", type: "url", url: cameras.url("mjpeg") }
        ])}`
        const { code, stderr } = yield* check(
          "--camera",
          "1",
          "--camera",
          "7",
          "--camera",
          "8",
          "--camera",
          "9"
        )
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(stderr.split("\n").slice(0, 3), [
          "warning: G.711 audio: no sound by HLS (cameras 1, 7, 8)",
          "warning: H.265 video: many browsers do not play it (cameras 7, 8)",
          "warning: MJPEG video: no browser plays it by WebRTC or HLS (camera 9)"
        ])
        const json = JSON.parse((yield* check("--json", "--camera", "1", "--camera", "9")).stdout)
        assert.deepStrictEqual(
          json.cameras.map(({ warnings }: { warnings: ReadonlyArray<string> }) => warnings.length),
          [1, 1]
        )
      })
    )

    it.effect(
      "probes each address of a camera, in one row with a line for each other address",
      () =>
        Effect.gen(function* () {
          const { cameras, env, sql } = yield* Site.asInstalled
          const port = yield* freePort
          const gone = `rtsp://127.0.0.1:${port}/`
          const host = new URL(cameras.url("cam1")).host
          yield* sql`insert into cameras ${sql.insert([
            { name: "Backup", url: `${gone}\n${cameras.url("cam1")}` },
            { name: "First", url: `${cameras.url("cam1")}\n${gone}\n${cameras.url("none")}` },
            { name: "Both", url: `${cameras.url("cam1")}\n${cameras.url("cam1")}?x=1` },
            { name: "Neither", url: `${gone}\n${cameras.url("none")}` }
          ])}`
          const { code, stderr, stdout } = yield* restream(["check"], env)
          assert.strictEqual(code, 1)
          assert.match(stderr, /^1 failed: 1 connection refused\n4 cameras: 3 ok, 1 failed, /m)
          const escaped = (text: string) => text.replaceAll(".", "\\.")
          const lines = stdout.trimEnd().split("\n").slice(1)
          const expected = [
            "^1 +Backup +url +ok +fair +h264 .* at address 2; 1 of 2 addresses failed$",
            `^ +address 1: 127\\.0\\.0\\.1:${port} +unreachable +poor .* connection refused by`,
            "^2 +First +url +ok +fair +h264 .* 2 of 3 addresses failed$",
            `^ +address 2: .* unreachable .* connection refused by`,
            `^ +address 3: .* unreachable .* no stream at this path`,
            "^3 +Both +url +ok +good +h264 ",
            `^ +address 2: ${escaped(host)} +ok +good +h264 `,
            "^4 +Neither +url +unreachable +poor .* connection refused by",
            "^ +address 2: .* unreachable .* no stream at this path"
          ]
          assert.strictEqual(lines.length, expected.length, stdout)
          for (const [index, line] of lines.entries()) {
            assert.match(line, new RegExp(expected[index]!))
          }
          const json = yield* restream(["check", "--json", "--camera", "1"], env)
          const [camera] = JSON.parse(json.stdout).cameras
          assert.deepInclude(camera, { state: "ok", reason: null, address: cameras.url("cam1") })
          assert.deepStrictEqual(
            camera.addresses.map(({ address, reason, state }: Record<string, any>) => [
              address,
              state,
              reason?.["code"]
            ]),
            [
              [gone, "unreachable", "Refused"],
              [cameras.url("cam1"), "ok", undefined]
            ]
          )
        })
    )

    it.effect("names the columns that nothing reads", () =>
      Effect.gen(function* () {
        const { check, env } = yield* make
        assert.notInclude((yield* check("--camera", "1")).stderr, "nothing reads")
        const { code, stderr } = yield* restream(["check", "--camera", "1"], {
          ...env,
          RESTREAM_DATABASE_QUERY: "select id, url, enabled as active, now() as seen from cameras"
        })
        assert.strictEqual(code, 0)
        assert.include(
          stderr,
          "database: nothing reads the columns active (did you mean enabled?), seen\n"
        )
      })
    )

    it.effect("keeps within the columns of a terminal", () =>
      Effect.gen(function* () {
        const { env } = yield* make
        const { command, environment } = invocation(["check"], {
          ...env,
          RESTREAM_PROBE_TIMEOUT: "2s",
          // nothing is drawn over
          TERM: "dumb"
        })
        const lines = (columns: number) =>
          Effect.map(
            run("python3", [terminal, String(columns), "[]", process.execPath, ...command], {
              env: environment
            }),
            ({ stdout }) => stdout.slice(0, stdout.indexOf(" failed: ")).split(/\r?\n/)
          )
        const wide = yield* lines(200)
        assert.isTrue(wide.some((line) => /^ID .* REASON$/.test(line)))
        const narrow = yield* lines(60)
        for (const line of narrow) assert.isAtMost(line.length, 60, line)
        assert.isTrue(
          narrow.some((line) => /^ID +CAMERA +(?:VIDEO +)?(?:STATE +)?REASON$/.test(line)),
          narrow.join("\n")
        )
        // nothing of a reason is lost
        assert.include(narrow.join(" ").replaceAll(/\s+/g, " "), "did you mean hikvision?")
      })
    )

    it.effect("gives the name of a row to machines as it stands there", () =>
      Effect.gen(function* () {
        const { check, sql } = yield* make
        const name = "evil\nline2 \u001b[31m \u009b \u202e"
        yield* sql`update cameras set name = ${name} where id = 5`
        const { stdout } = yield* check("--json", "--camera", "5")
        assert.strictEqual(JSON.parse(stdout).cameras[0].name, name)
        for (const control of ["\u001b", "\u009b", "\u202e"]) assert.notInclude(stdout, control)
      })
    )

    it.effect("reports a table without enabled cameras", () =>
      Effect.gen(function* () {
        const { check, sql } = yield* make
        yield* sql`delete from cameras where enabled`
        const disabled = yield* check()
        assert.deepStrictEqual(
          [disabled.code, disabled.stdout, disabled.stderr],
          [0, "", "no enabled cameras in the table, 1 disabled\n"]
        )
        yield* sql`delete from cameras`
        assert.strictEqual((yield* check()).stderr, "no enabled cameras in the table\n")
        assert.deepInclude(JSON.parse((yield* check("--json")).stdout), { total: 0, cameras: [] })
      })
    )

    it.effect("asks a camera that refuses the password no second time", () =>
      Effect.gen(function* () {
        const { cameras, check } = yield* make
        yield* check("--camera", "3")
        assert.strictEqual(yield* cameras.authenticationFailures, 1)
      })
    )

    it.effect("prints one JSON document, and ends with status 0 if every camera is live", () =>
      Effect.gen(function* () {
        const { check, env } = yield* make
        const { code, stdout } = yield* check("--json", "--camera", "1")
        const { cameras, tookMs, ...counts } = JSON.parse(stdout)
        assert.strictEqual(code, 0)
        assert.isAbove(tookMs, 0)
        assert.deepStrictEqual(counts, {
          total: 1,
          ok: 1,
          wrong: 0,
          disabled: 1,
          mediaServer: { problems: [] }
        })
        assert.include(cameras[0], { id: "1", state: "ok", engine: "native", reason: null })
        assert.include(cameras[0].video, { codec: "h264", width: 64, height: 64 })

        const away = yield* restream(["check", "--json", "--camera", "1"], {
          ...env,
          MEDIA_SERVER_PORT: "1"
        })
        assert.strictEqual(away.code, 1)
        assert.deepStrictEqual(JSON.parse(away.stdout).mediaServer.problems, [
          "media server 127.0.0.1:1 is unreachable: connection refused by 127.0.0.1:1; no camera can be published"
        ])

        const all = JSON.parse((yield* check("--json")).stdout)
        assert.deepStrictEqual(
          all.cameras.map((one: { reason: { code: string } | null }) => one.reason?.code ?? null),
          [null, "Refused", "Unauthorized", "TimedOut", "Invalid"]
        )
      })
    )

    it.effect("gives the whole document of a thousand cameras, however late it is read", () =>
      Effect.gen(function* () {
        const { child, exited } = yield* unread
        yield* Effect.sleep("300 millis")
        const { cameras, total } = JSON.parse(yield* Effect.promise(() => text(child.stdout)))
        assert.deepStrictEqual([total, cameras.length], [1000, 1000])
        assert.strictEqual(yield* exited, 1)
      })
    )

    it.effect("ends when it is asked to, although nobody reads its document", () =>
      Effect.gen(function* () {
        const { child, exited } = yield* unread
        child.kill("SIGTERM")
        assert.strictEqual(yield* exited, 128 + 15)
      })
    )

    it.effect("ends when nobody is left to read its document", () =>
      Effect.gen(function* () {
        const { child, exited } = yield* unread
        child.stdout.destroy()
        assert.strictEqual(yield* exited, 1)
      })
    )

    it.effect("finds the same by ffprobe", () =>
      Effect.gen(function* () {
        const { check } = yield* make
        const { stdout } = yield* check("--json", "--camera-engine", "ffmpeg")
        const { cameras } = JSON.parse(stdout) as {
          cameras: ReadonlyArray<{ engine: string | null; reason: { code: string } | null }>
        }
        assert.strictEqual(cameras[0]?.engine, "ffmpeg")
        assert.deepStrictEqual(
          cameras.map(({ reason }) => reason?.code ?? null),
          [null, "Refused", "Unauthorized", "TimedOut", "Invalid"]
        )
      })
    )

    it.effect("takes the camera types of the README's plugin, beside the settings' file", () =>
      Effect.gen(function* () {
        const { cameras, env, sql } = yield* make
        yield* cameras.configure("live/3", {
          authentication: {
            username: "admin",
            password: Redacted.make("p@ss/w:rd #1%"),
            actions: ["read"]
          }
        })
        yield* TestPattern.publish(cameras, "live/3")
        const row = { type: "acme", host: "127.0.0.1", port: cameras.port, channel: 3 }
        const [{ id } = { id: 0 }] = yield* sql<{ readonly id: number }>`
          insert into cameras ${sql.insert({ ...row, username: "admin", password: "p@ss/w:rd #1%" })}
          returning id`
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-plugin-"))),
          (path) => Effect.sync(() => rmSync(path, { recursive: true }))
        )
        const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
        const [, plugin = ""] = /^```js\n([\s\S]*?)^```/m.exec(readme) ?? []
        writeFileSync(join(folder, "acme.js"), plugin)
        writeFileSync(join(folder, "restream.yaml"), "plugins: [./acme.js]\n")
        const args = ["check", "--json", "--camera", String(id)]
        const { code, stderr, stdout } = yield* restream(args, {
          ...env,
          RESTREAM_CONFIG: join(folder, "restream.yaml")
        })
        assert.strictEqual(code, 0, stderr + stdout)
        assert.include(JSON.parse(stdout).cameras[0], { type: "acme", state: "ok" })
        assert.strictEqual(stderr, "")
      })
    )

    it.effect("connects as the operating system's user where the DSN names none", () =>
      Effect.gen(function* () {
        const { env } = yield* make
        const dsn = new URL(env["PG_DSN"] ?? "")
        const { code, stderr } = yield* restream(["check"], {
          ...env,
          PG_DSN: `postgres://${dsn.host}${dsn.pathname}?password=wrong`,
          USER: undefined,
          USERNAME: undefined,
          PGUSER: "somebody"
        })
        assert.strictEqual(code, 2)
        assert.match(stderr, /^database: [^\n]*\n$/)
        assert.include(stderr, `"${userInfo().username}"`)
      })
    )

    it.effect("names the ignored parameters of the DSN in one line", () =>
      Effect.gen(function* () {
        const { env } = yield* make
        const { code, stderr } = yield* restream(["check", "--camera", "99"], {
          ...env,
          PG_DSN: `${env["PG_DSN"]}?connection_limit=5&pgbouncer=true&statement_timeout=1000`
        })
        assert.strictEqual(code, 2)
        assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
          "database: ignored parameters of PG_DSN, which have no effect here: connection_limit, statement_timeout",
          "--camera: no enabled camera has the id 99"
        ])
      })
    )

    it.effect("ends with status 2 and one line where no source of cameras is set", () =>
      Effect.gen(function* () {
        const { check, env } = yield* make
        const lines = (text: string) => text.trimEnd().split("\n")
        const noCamera = yield* check("--camera", "99")
        assert.deepStrictEqual(
          [noCamera.code, lines(noCamera.stderr)],
          [2, ["--camera: no enabled camera has the id 99"]]
        )
        const port = yield* freePort
        const noDatabase = yield* restream(["check"], {
          ...env,
          PG_DSN: `postgres://me:TopSecret1@127.0.0.1:${port}/x`
        })
        assert.strictEqual(noDatabase.code, 2)
        assert.strictEqual(lines(noDatabase.stderr).length, 1)
        assert.match(noDatabase.stderr, /^database: .*(refused|ECONNREFUSED)/)
        assert.notInclude(noDatabase.stderr, "TopSecret1")
        const noDsn = yield* restream(["check"])
        assert.deepStrictEqual([noDsn.code, lines(noDsn.stderr).length], [2, 1])
        assert.match(noDsn.stderr, /database\.dsn.*PG_DSN/)
      })
    )

    it.effect("beside a daemon, probes a camera that is relayed only with --force", () =>
      Effect.gen(function* () {
        const { cameras, env, mediaServer, sql, startDaemon } = yield* Site.asInstalled
        yield* sql`insert into cameras ${sql.insert({ name: "Gate", url: cameras.url("cam1") })}`
        yield* startDaemon()
        yield* mediaServer.awaitPackets("cam1")
        const events = yield* cameras.events
        const check = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
          const { code, stdout } = yield* restream(["check", "--json", ...args], env)
          const [camera] = JSON.parse(stdout).cameras
          return [code, camera.state, camera.video.codec, camera.audio.codec]
        })
        const connections = Effect.map(
          PubSub.takeUpTo(events, Number.POSITIVE_INFINITY),
          (taken) => taken.filter(({ _tag }) => _tag === "Connected").length
        )
        assert.deepStrictEqual(yield* check(), [0, "live", "h264", "pcm_mulaw"])
        assert.strictEqual(yield* connections, 0)
        assert.deepStrictEqual(yield* check("--force"), [0, "ok", "h264", "pcm_mulaw"])
        assert.strictEqual(yield* connections, 1)
      })
    )
  }
)
