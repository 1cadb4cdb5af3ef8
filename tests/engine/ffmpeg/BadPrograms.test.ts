/** Programs that do what ffmpeg should not, and what it does on no command. */
import { assert, describe, it } from "@effect/vitest"
import { anyServer, type ProbeError, type RelayError } from "@restream/core"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { chmodSync, existsSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { commandOf, isAlive, pidIn } from "../../kit/Proc.ts"
import { heldBytes } from "../../kit/Memory.ts"
import { hasParentDeathSignal } from "../../kit/ParentDeathSignal.ts"
import { banners } from "./banners.ts"
import { engine } from "./Engines.ts"
import { camera, job, probe, startRelay } from "../Streams.ts"
import * as FakeBinary from "../../kit/FakeBinary.ts"

const from = "rtsp://admin:topsecret1@127.0.0.1:9/live?pwd=topsecret2"
const to = "rtsp://relay:topsecret3@127.0.0.1:9/cam7"

/** A block of progress on file descriptor 3. */
const block = (frame: number) => `printf 'frame=${frame}\\nprogress=continue\\n' >&3`
/** Without a child of its own; what the shell ignores, it goes on ignoring. */
const forEver = "exec sleep 300"
const listening = "while :; do sleep 0.1; done"

type Options = Parameters<typeof engine>[0]

/** An engine whose ffprobe succeeds, and whose ffmpeg is the program. */
const relayEngine = (program: string, options: Options = {}) =>
  Effect.flatMap(FakeBinary.ffprobe, (ffprobePath) =>
    engine({ ffmpegPath: program, ffprobePath, ...options })
  )

const relaying = (program: string, options: Options = {}, check = anyServer.check) =>
  Effect.gen(function* () {
    const ffmpeg = yield* relayEngine(program, options)
    return yield* startRelay(ffmpeg, { ...job(from, to), server: { ...anyServer, check } })
  })

const probing = (program: string, options: Options = {}) =>
  Effect.gen(function* () {
    const ffmpeg = yield* engine({ ffprobePath: program, ...options })
    return yield* probe(ffmpeg, camera(from))
  })

const reasonOf = <A, R>(failing: Effect.Effect<A, ProbeError | RelayError, R>) =>
  Effect.map(Effect.flip(failing), ({ reason }) => ({ ...reason, message: reason.message }))

/** The reason for which a program's relay ends. */
const endOf = (script: string, options: Options = {}, check = anyServer.check) =>
  Effect.gen(function* () {
    const { program } = yield* FakeBinary.make(script)
    const { ended } = yield* relaying(program, options, check)
    return yield* reasonOf(ended)
  })

/** The reason for which a program's probe fails. */
const failureOf = (script: string, options: Options = {}) =>
  Effect.gen(function* () {
    const { program } = yield* FakeBinary.make(script)
    const { reason } = yield* Effect.flip(probing(program, options))
    return { ...reason, message: reason.message }
  })

describe("a relay with a broken program", () => {
  it.live("kills a process that ignores SIGTERM", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`trap '' TERM\n${block(1)}\n${forEver}`)
      const scope = yield* Scope.make()
      const relay = yield* Scope.provide(relaying(program, { killGrace: "300 millis" }), scope)
      yield* relay.flowing
      const pid = yield* pidIn(join(folder, "pid"))
      assert.isTrue(isAlive(pid))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(pid))
    })
  )

  it.live("waits for a process that handles SIGTERM", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(
        `trap 'yes | head -c 1000000 >&2; echo done > "$here/order"; exit 255' TERM\n${block(1)}\n${listening}`
      )
      const scope = yield* Scope.make()
      const relay = yield* Scope.provide(relaying(program, { killGrace: "20 seconds" }), scope)
      yield* relay.flowing
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(readFileSync(join(folder, "order"), "utf8").trim(), "done")
    })
  )

  it.live("discards 100 MB of stderr", () =>
    Effect.gen(function* () {
      const { program } = yield* FakeBinary.make(
        `yes '[error] something is wrong' | head -n 4000000 >&2\n${block(1)}\necho '[error] the end' >&2\nexit 7`
      )
      const before = heldBytes()
      const relay = yield* relaying(program)
      const reason = yield* reasonOf(relay.ended)
      // what is being read just now, and not the hundred
      assert.isBelow(heldBytes() - before, 20_000_000)
      assert.deepInclude(reason, {
        _tag: "Exited",
        status: 7,
        lastWords: "something is wrong; something is wrong; the end"
      })
      assert.strictEqual(relay.counters().packets, 1)
    })
  )

  it.live("does not wait for a grandchild that holds the pipes", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(
        `setsid sh -c 'echo $$ > "'"$here"'/grandchild"; exec sleep 300' &
while [ ! -s "$here/grandchild" ]; do sleep 0.05; done
echo '[error] gone' >&2
exit 3`
      )
      const relay = yield* relaying(program)
      const grandchild = yield* pidIn(join(folder, "grandchild"))
      yield* Effect.addFinalizer(() => Effect.sync(() => process.kill(grandchild, "SIGKILL")))
      const reason = yield* reasonOf(relay.ended)
      assert.deepInclude(reason, { _tag: "Exited", status: 3, lastWords: "gone" })
      assert.isTrue(isAlive(grandchild))
    })
  )

  it.live("reads stderr that arrives after the process ended", () =>
    Effect.gen(function* () {
      const reason = yield* endOf(
        `setsid sh -c 'echo > "'"$here"'/started"; sleep 0.1; echo "[error] late words" >&2' &
while [ ! -e "$here/started" ]; do :; done
exit 3`
      )
      assert.deepInclude(reason, { _tag: "Exited", status: 3, lastWords: "late words" })
    })
  )

  it.live("ends the children of a process that died", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(
        `sleep 300 &\necho $! > "$here/child"\n${block(1)}\nwait`
      )
      const scope = yield* Scope.make()
      const relay = yield* Scope.provide(relaying(program), scope)
      yield* relay.flowing
      const child = yield* pidIn(join(folder, "child"))
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(child))
    })
  )

  it.live("reports the exit code", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* endOf("exit 9"), { _tag: "Exited", status: 9, lastWords: "" })
    })
  )

  it.live("reports the signal that ended it", () =>
    Effect.gen(function* () {
      const reason = yield* endOf("kill -SEGV $$")
      assert.deepInclude(reason, { _tag: "Exited", status: "SIGSEGV" })
    })
  )

  it.live("reports that it was killed from outside", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`${block(1)}\n${forEver}`)
      const relay = yield* relaying(program)
      yield* relay.flowing
      process.kill(yield* pidIn(join(folder, "pid")), "SIGKILL")
      assert.deepInclude(yield* reasonOf(relay.ended), { _tag: "Exited", status: "SIGKILL" })
    })
  )

  it.live("shows no password that it prints", () =>
    Effect.gen(function* () {
      const reason = yield* endOf(
        `echo "[error] Did you mean file:${from} or ${to} or topsecret1 or topsecret3?" >&2; exit 1`
      )
      assert.notInclude(JSON.stringify(reason), "topsecret")
      assert.include(reason.message, "Did you mean")
    })
  )

  it.live("counts no progress from lines with the same values", () =>
    Effect.gen(function* () {
      const reason = yield* endOf(`while :; do ${block(5)}; sleep 0.05; done`, {
        stallTimeout: "500 millis"
      })
      assert.deepInclude(reason, { _tag: "Stalled", side: "input" })
    })
  )

  it.live("reports a media server that does not respond", () =>
    Effect.gen(function* () {
      const reason = yield* endOf(
        `${block(5)}\n${forEver}`,
        { stallTimeout: "500 millis" },
        Effect.succeed(false)
      )
      assert.deepInclude(reason, { _tag: "Stalled", side: "output" })
    })
  )

  it.live("ends with the defect of a server check", () =>
    Effect.gen(function* () {
      const { program } = yield* FakeBinary.make(`${block(5)}\n${forEver}`)
      const relay = yield* relaying(program, { stallTimeout: "300 millis" }, Effect.die("a fault"))
      const exit = yield* Effect.exit(relay.ended)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
    })
  )

  it.live("ends a stalled process, also when its scope stays open", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`trap '' TERM\n${block(1)}\n${forEver}`)
      const relay = yield* relaying(program, {
        stallTimeout: "300 millis",
        killGrace: "300 millis"
      })
      yield* Effect.flip(relay.ended)
      const pid = yield* pidIn(join(folder, "pid"))
      while (isAlive(pid)) yield* Effect.sleep("20 millis")
    })
  )

  it.live("ends a relay that receives no video at all", () =>
    Effect.gen(function* () {
      const reason = yield* endOf(forEver, {
        stallTimeout: "200 millis",
        startTimeout: "400 millis"
      })
      assert.strictEqual(reason._tag, "Stalled")
    })
  )

  it.live("is live only when media arrived", () =>
    Effect.gen(function* () {
      const { program } = yield* FakeBinary.make(
        `printf 'frame=0\\nout_time_us=23220\\nprogress=continue\\n' >&3\necho ready > "$here/ready"\n${forEver}`
      )
      const relay = yield* relaying(program)
      const flowing = yield* Effect.forkChild(relay.flowing)
      while (!existsSync(join(program, "..", "ready"))) yield* Effect.sleep("10 millis")
      yield* Effect.sleep("100 millis")
      assert.isUndefined(flowing.pollUnsafe())
    })
  )
})

describe("a probe with a broken program", () => {
  it.live("kills a hanging process at the deadline", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`trap '' TERM INT HUP\n${forEver}`)
      const { reason } = yield* Effect.flip(probing(program, { openTimeout: "500 millis" }))
      assert.deepInclude({ ...reason }, { _tag: "TimedOut", afterMs: 500 })
      assert.isFalse(isAlive(yield* pidIn(join(folder, "pid"))))
    })
  )

  it.live("has killed the process when the interruption has ended", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`trap '' TERM INT HUP\n${forEver}`)
      const probe = yield* Effect.forkChild(probing(program))
      const pid = yield* pidIn(join(folder, "pid"))
      yield* Fiber.interrupt(probe)
      assert.isFalse(isAlive(pid))
    })
  )

  it.live("discards excessive output on both pipes", () =>
    Effect.gen(function* () {
      const flood = "yes 'no report' | head -c 20000000"
      const reason = yield* failureOf(`${flood} >&2 & ${flood}; wait; exit 0`)
      assert.strictEqual(reason._tag, "LaunchFailed")
    })
  )

  it.live("reports the signal that ended it", () =>
    Effect.gen(function* () {
      const reason = yield* failureOf("kill -SEGV $$")
      assert.strictEqual(reason.message, "cannot start: ffprobe died by SIGSEGV")
    })
  )

  it.live("shows no password that it prints", () =>
    Effect.gen(function* () {
      const reason = yield* failureOf(
        `echo "[error] Did you mean file:${from} or topsecret1 or topsecret2?" >&2; exit 1`
      )
      assert.notInclude(JSON.stringify(reason), "topsecret")
      assert.include(reason.message, "Did you mean")
    })
  )

  it.live("reports the program that ends without output", () =>
    Effect.gen(function* () {
      const reason = yield* failureOf("exit 4")
      assert.deepInclude(reason, {
        _tag: "LaunchFailed",
        detail: "ffprobe ended with code 4 without output"
      })
    })
  )
})

describe("a program that can't be started", () => {
  const startOf = (program: string) =>
    Effect.gen(function* () {
      const relay = yield* reasonOf(relaying(program))
      const { reason } = yield* Effect.flip(probing(program))
      assert.strictEqual(relay._tag, "LaunchFailed")
      assert.strictEqual(reason._tag, "LaunchFailed")
      return [relay.message, reason.message]
    })

  it.live("is missing", () =>
    Effect.gen(function* () {
      const program = join(yield* FakeBinary.folder, "missing")
      assert.deepStrictEqual(yield* startOf(program), [
        `cannot start: there is no program ${program}; ffmpeg.path says where it is`,
        `cannot start: there is no program ${program}; ffmpeg.ffprobePath says where it is`
      ])
    })
  )

  it.live("is not executable", () =>
    Effect.gen(function* () {
      const { program } = yield* FakeBinary.make("exit 0")
      chmodSync(program, 0o644)
      assert.deepStrictEqual(yield* startOf(program), [
        `cannot start: ${program} is not executable for us; see ffmpeg.path`,
        `cannot start: ${program} is not executable for us; see ffmpeg.ffprobePath`
      ])
    })
  )

  it.live("is something else", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* startOf("true"), [
        "cannot start: true is no ffmpeg; see ffmpeg.path",
        "cannot start: true is no ffprobe; see ffmpeg.ffprobePath"
      ])
    })
  )
})

describe("the version of a program", () => {
  const callsIn = (folder: string) =>
    readFileSync(join(folder, "version-calls"), "utf8").trim().split("\n").length

  it.live("is read once, with the first use, however many ask", () =>
    Effect.gen(function* () {
      const { folder, program } = yield* FakeBinary.make(`${block(1)}\n${forEver}`)
      const ffmpeg = yield* relayEngine(program)
      assert.isFalse(existsSync(join(folder, "version-calls")))
      const relays = yield* Effect.forEach([1, 2, 3, 4], () => startRelay(ffmpeg, job(from, to)), {
        concurrency: "unbounded"
      })
      yield* Effect.forEach(relays, ({ flowing }) => flowing)
      assert.strictEqual(callsIn(folder), 1)
    })
  )

  it.live("is read again when the program failed, because it may be another one now", () =>
    Effect.gen(function* () {
      const says = 'echo "$*" > "$here/args"'
      const { folder, program } = yield* FakeBinary.make(`${says}\nexit 1`, banners.npmFfmpeg2018)
      const ffmpeg = yield* relayEngine(program)
      const args = () => readFileSync(join(folder, "args"), "utf8")
      yield* Effect.flip((yield* startRelay(ffmpeg, job(from, to))).ended)
      assert.include(args(), "-stimeout ")
      FakeBinary.write(program, `${says}\n${block(1)}\n${forEver}`, banners.debian12)
      const second = yield* startRelay(ffmpeg, job(from, to))
      yield* second.flowing
      assert.include(args(), " -timeout ")
      assert.strictEqual(callsIn(folder), 2)
    })
  )

  it.live("reports a program that was removed since", () =>
    Effect.gen(function* () {
      const { program } = yield* FakeBinary.make(`${block(1)}\n${forEver}`)
      const ffmpeg = yield* relayEngine(program)
      yield* Effect.scoped(
        Effect.flatMap(startRelay(ffmpeg, job(from, to)), ({ flowing }) => flowing)
      )
      rmSync(program)
      const reason = yield* reasonOf(
        Effect.flatMap(startRelay(ffmpeg, job(from, to)), ({ ended }) => ended)
      )
      assert.strictEqual(
        reason.message,
        `cannot start: there is no program ${program}; ffmpeg.path says where it is`
      )
    })
  )
})

describe("the process of a relay", () => {
  it.live.skipIf(!hasParentDeathSignal)(
    `is the program itself, killed with the daemon${hasParentDeathSignal ? "" : " (skipped: no setpriv that can)"}`,
    () =>
      Effect.gen(function* () {
        const { folder, program } = yield* FakeBinary.make(`${block(1)}\n${listening}`)
        const relay = yield* relaying(program)
        yield* relay.flowing
        // the shell's own id is the one that was started: setpriv has become the shell
        const pid = yield* pidIn(join(folder, "pid"))
        assert.deepStrictEqual(commandOf(pid).slice(0, 2), ["/bin/sh", program])
        assert.match(
          readFileSync(`/proc/${pid}/status`, "utf8"),
          new RegExp(`PPid:\\s+${process.pid}\\b`)
        )
      })
  )

  it.live("has no database variables in its environment", () =>
    Effect.gen(function* () {
      process.env["PG_DSN"] = "postgres://u:topsecret@127.0.0.1/x"
      yield* Effect.addFinalizer(() => Effect.sync(() => delete process.env["PG_DSN"]))
      const reason = yield* endOf(
        'echo "[error] PG_DSN is ${PG_DSN:-unset}, PATH ${PATH:+set}" >&2; exit 1'
      )
      assert.include(reason.message, "PG_DSN is unset, PATH set")
    })
  )
})
