import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { hasParentDeathSignal } from "../kit/ParentDeathSignal.ts"
import { until } from "../kit/Eventually.ts"
import { Postgres } from "../kit/Postgres.ts"
import * as Daemon from "../kit/Daemon.ts"
import * as Proc from "../kit/Proc.ts"
import * as Site from "../kit/Site.ts"

/** `RESTREAM_TEST_CAMERAS=50` makes it 50 of each engine. */
const perEngine = Number(process.env["RESTREAM_TEST_CAMERAS"] ?? 4)

/** What the daemon says when it does not end in order within its bound. */
const isForced = /shutdown timed out/

/** A daemon with cameras of both engines, all live. */
const running = (options: Daemon.DaemonOptions = {}, count = 2) =>
  Effect.gen(function* () {
    const site = yield* Site.make
    const paths = [
      ...(yield* site.insertCameras("native", count)),
      ...(yield* site.insertCameras("ffmpeg", count))
    ]
    const daemon = yield* Daemon.start({ ...options, env: { ...site.env, ...options.env } })
    yield* site.awaitLive(paths)
    return { site, daemon, paths, children: Proc.descendants(daemon.pid) }
  })

/** Nothing is left of a daemon: no process, and no connection at either side. */
const assertNothingLeft = ({
  children,
  site
}: Effect.Success<ReturnType<typeof running>>): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* Proc.awaitGone(children)
    yield* site.sink.awaitConnections(0)
    yield* site.camera.awaitConnections(0)
  })

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })((it) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.effect(`the daemon ends by ${signal}, with status 0 and nothing left`, () =>
      Effect.gen(function* () {
        const all = yield* running()
        assert.strictEqual(all.children.length, 2)
        yield* all.daemon.signal(signal)
        assert.strictEqual((yield* all.daemon.exit).code, 0)
        assert.notMatch(all.daemon.stderr.join("\n"), isForced)
        yield* assertNothingLeft(all)
        assert.match(all.daemon.stderr.at(-1) ?? "", /restream stopped/)
      })
    )
  }

  it.effect("the daemon ends at once by a second signal, with nothing left", () =>
    Effect.gen(function* () {
      const all = yield* running()
      // stopped processes don't obey TERM: an end in order would wait for the grace of 3 s
      for (const child of all.children) process.kill(child, "SIGSTOP")
      yield* all.daemon.signal("SIGTERM")
      yield* all.daemon.awaitLine(/stopping all 4 cameras/)
      assert.isTrue(Proc.runs(all.daemon.pid))
      yield* all.daemon.signal("SIGINT")
      const { code } = yield* all.daemon.exit
      assert.strictEqual(code, 128 + 2)
      assert.notMatch(all.daemon.stderr.join("\n"), /restream stopped/)
      yield* assertNothingLeft(all)
    })
  )

  it.effect("the daemon ends within 5 s although a child ignores SIGTERM", () =>
    Effect.gen(function* () {
      const all = yield* running()
      for (const child of all.children) process.kill(child, "SIGSTOP")
      yield* all.daemon.signal("SIGTERM")
      // they are killed after a grace, and only a bound that is over before it forces the exit
      const { code } = yield* all.daemon.exit
      assert.strictEqual(code, isForced.test(all.daemon.stderr.join("\n")) ? 1 : 0)
      yield* assertNothingLeft(all)
    })
  )

  for (const what of ["processes", "sessions"] as const) {
    it.effect(`the daemon ends in order although the ${what} of the database hang`, () =>
      Effect.gen(function* () {
        const all = yield* running({ env: { RESTREAM_DATABASE_POLL_INTERVAL: "1s" } })
        const { port } = yield* Postgres
        const sessions = yield* all.site.sql<{ readonly pid: number }>`
            select pid from pg_stat_activity
            where datname = current_database() and application_name like 'restream%'`
        const [session] = sessions
        assert.isDefined(session)
        const frozen =
          what === "sessions"
            ? sessions
            : Proc.family(Proc.readStat(session.pid)?.parent ?? assert.fail("no server"))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => frozen.forEach(({ pid }) => process.kill(pid, "SIGCONT")))
        )
        for (const { pid } of frozen) process.kill(pid, "SIGSTOP")
        // a read of the table, and the confirmation of the lock
        yield* until("two statements in flight", () => Proc.unreadSockets(port) >= 2)
        yield* all.daemon.signal("SIGTERM")
        assert.strictEqual((yield* all.daemon.exit).code, 0)
        const log = all.daemon.stderr.join("\n")
        assert.notMatch(log, isForced)
        assert.notMatch(log, /level=(warn|error)/)
        yield* assertNothingLeft(all)
      })
    )
  }

  it.effect("SIGHUP while it ends changes nothing", () =>
    Effect.gen(function* () {
      const all = yield* running()
      yield* all.daemon.signal("SIGTERM")
      yield* all.daemon.signal("SIGHUP")
      const { code } = yield* all.daemon.exit
      assert.strictEqual(code, 0)
      yield* assertNothingLeft(all)
    })
  )

  it.effect.skipIf(!hasParentDeathSignal)(
    `SIGKILL leaves no process, and the next daemon has all cameras live (${perEngine} of each engine${hasParentDeathSignal ? "" : "; skipped: no setpriv that can"})`,
    () =>
      Effect.gen(function* () {
        const all = yield* running({}, perEngine)
        assert.strictEqual(all.children.length, perEngine)
        yield* all.daemon.signal("SIGKILL")
        yield* all.daemon.exit
        yield* Proc.awaitGone(all.children)
        yield* assertNothingLeft(all)

        yield* Daemon.start({ env: all.site.env })
        yield* all.site.awaitLive(all.paths)
      })
  )

  const plugin = new URL("faulty-plugin.mjs", import.meta.url).pathname
  for (const [signal, what] of [
    ["SIGUSR2", "an uncaught throw"],
    ["SIGWINCH", "an unhandled rejection"]
  ] as const) {
    it.effect(`the daemon ends after ${what}, with a log line, status 1 and nothing left`, () =>
      Effect.gen(function* () {
        const all = yield* running({ env: { RESTREAM_PLUGINS: plugin } })
        yield* all.daemon.signal(signal)
        assert.strictEqual((yield* all.daemon.exit).code, 1)
        const told = all.daemon.stderr.filter((line) => line.includes("internal error"))
        assert.strictEqual(told.length, 1)
        assert.include(told[0], "thrown by a test")
        assert.notInclude(told[0], "planted-password")
        yield* assertNothingLeft(all)
      })
    )
  }
})
