/** Refusals that a device gives to several cameras, over random histories of the device and its cameras. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraId, CredentialGuard, Reason, StreamUrl } from "@restream/core"
import { Clock, Deferred, Duration, Effect, Fiber, Result, Semaphore } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"

const wrong = new Reason.Unauthorized({ credentials: "wrong" })
const lockout = Duration.minutes(5)
const lockoutMs = Duration.toMillis(lockout)
const url = Result.getOrThrow(StreamUrl.parse("rtsp://admin:secret@10.0.0.9/live"))

const acquire = (guard: CredentialGuard.CredentialGuard, id: number | string) =>
  guard.acquire({ id: String(id) as CameraId, url })

/** Asks once; gives whether the camera got the permit without a wait. */
const isFree = (lease: CredentialGuard.Lease) =>
  Effect.suspend(() => {
    let waited = false
    return Effect.void.pipe(
      lease.withPermit(() =>
        Effect.suspend(() => {
          waited = true
          return Effect.fail("waits")
        })
      ),
      Effect.ignore,
      Effect.map(() => !waited)
    )
  })

describe("RefusalGuard", () => {
  it.effect("allows a camera that is added after only a forbidden one was refused", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const forbidden = yield* acquire(guard, 1)
      forbidden.refused(wrong)
      yield* TestClock.adjust("1 minute")
      const later = yield* acquire(guard, 2)
      assert.isTrue(yield* isFree(later))
      assert.isFalse(yield* isFree(forbidden))
      later.accepted()
      assert.isTrue(yield* isFree(forbidden))
    })
  )

  it.effect("blocks a group after two refusals, also of cameras that left since", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const first = yield* acquire(guard, 1)
      const third = yield* acquire(guard, 3)
      first.refused(wrong)
      const again = Effect.map(acquire(guard, 2), (lease) => lease.refused(wrong))
      // one camera is one suspect, however often its row changes
      yield* Effect.scoped(Effect.map(acquire(guard, 1), (lease) => lease.refused(wrong)))
      assert.isTrue(yield* isFree(third))
      yield* Effect.scoped(again)
      assert.isFalse(yield* isFree(third))
    })
  )

  it.effect("does not block an accepted camera because of forbidden ones", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const good = yield* acquire(guard, 1)
      const flaps = yield* acquire(guard, 2)
      const forbidden = yield* Effect.forEach([3, 4, 5], (id) => acquire(guard, id))
      good.accepted()
      flaps.accepted()
      for (let round = 0; round < 5; round++) {
        for (const lease of forbidden) lease.refused(wrong)
        flaps.ended()
        assert.isTrue(yield* isFree(flaps))
        flaps.accepted()
      }
    })
  )

  it.effect("tries again within seconds what the device refuses while another camera is live", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const good = yield* acquire(guard, 1)
      const full = yield* acquire(guard, 2)
      good.accepted()
      const times: Array<number> = []
      const asking = Effect.gen(function* () {
        times.push(yield* Clock.currentTimeMillis)
        full.refused(wrong)
      }).pipe(full.withPermit(() => Effect.void))
      yield* Effect.forkChild(Effect.forever(asking))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(
        times.map((at) => at / 1000),
        [0, 5, 65, 365]
      )
      // a session was freed
      good.ended()
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(times.at(-1), 605_000)
    })
  )

  it.effect("gives the permit to the next camera where one is still blocked", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const forbidden = yield* acquire(guard, 1)
      const slow = yield* acquire(guard, 2)
      // its last attempt is the oldest, and it waits for the lockout delay
      yield* Effect.sync(() => forbidden.refused(wrong)).pipe(
        forbidden.withPermit(() => Effect.void)
      )
      yield* Effect.forkChild(forbidden.withPermit(() => Effect.void)(Effect.void))
      yield* TestClock.adjust("1 second")
      yield* Effect.forkChild(Effect.sleep("1 second").pipe(slow.withPermit(() => Effect.void)))
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* isFree(slow))
    })
  )

  it.effect("forgets the refusals to a group once the device accepts one camera", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const leases = yield* Effect.forEach([1, 2, 3, 4], (id) => acquire(guard, id))
      for (const lease of leases.slice(0, 2)) lease.refused(wrong)
      leases[2]?.accepted()
      for (const lease of leases) assert.isFalse(lease.isBlocked)
      assert.isFalse(leases[0]?.isGroupBlocked)
    })
  )

  it.effect("keeps the delay of a refused camera while the device accepts others", () =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const live = yield* acquire(guard, 1)
      const forbidden = yield* acquire(guard, 2)
      const later = yield* acquire(guard, 3)
      live.accepted()
      // the second delay is a minute
      forbidden.refused(wrong)
      forbidden.refused(wrong)
      later.accepted()
      yield* TestClock.adjust("50 seconds")
      assert.isFalse(yield* isFree(forbidden))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(yield* isFree(forbidden))
    })
  )

  type Mode = "accepts" | "refuses" | "full"

  const anyHistory = fc.record({
    cameras: fc.array(
      fc.record({
        startsAt: fc.integer({ min: 0, max: 600 }),
        /** An attempt takes so many tenths of a second. */
        takes: fc.integer({ min: 0, max: 70 }),
        /** A live camera ends after so many seconds. */
        lives: fc.integer({ min: 1, max: 400 }),
        isForbidden: fc.boolean(),
        /** Its attempts come to no answer. */
        isSilent: fc.boolean(),
        leavesAfter: fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined })
      }),
      { minLength: 1, maxLength: 8 }
    ),
    /** What the device does, in turn, for so many seconds each. */
    phases: fc.array(
      fc.record({
        mode: fc.constantFrom<Mode>("accepts", "refuses", "full"),
        lasts: fc.integer({ min: 1, max: 400 })
      }),
      { maxLength: 6 }
    )
  })

  type History = typeof anyHistory extends fc.Arbitrary<infer Value> ? Value : never

  const slots = 2

  /** Runs a history, then lets the device accept everybody; gives the times of all refused attempts. */
  const play = ({ cameras, phases }: History) =>
    Effect.gen(function* () {
      const guard = CredentialGuard.make(() => lockout)
      const limiter = Semaphore.makeUnsafe(1)
      let mode: Mode = "accepts"
      let isOver = false
      let live = 0
      const refusals: Array<number> = []
      const ends: Array<number> = []
      const over = yield* Deferred.make<void>()
      const isLive = new Map<number, boolean>()

      const camera = (id: number, { isForbidden, isSilent, lives, takes }: History["cameras"][0]) =>
        Effect.gen(function* () {
          const lease = yield* acquire(guard, id)
          const attempt = limiter.withPermit(
            Effect.gen(function* () {
              if (lease.isBlocked) return "requeued"
              yield* Effect.sleep(isOver ? 0 : takes * 100)
              if (isSilent && !isOver) return "silent"
              const isRefused =
                !isOver && (isForbidden || mode === "refuses" || (mode === "full" && live >= slots))
              if (isRefused) {
                refusals.push(yield* Clock.currentTimeMillis)
                lease.refused(wrong)
                return "refused"
              }
              lease.accepted()
              return "accepted"
            })
          )
          for (;;) {
            const outcome = yield* lease.withPermit(() => Effect.void)(attempt)
            if (outcome === "accepted") {
              live++
              isLive.set(id, true)
              yield* isOver
                ? Effect.never
                : Effect.raceFirst(Effect.sleep(lives * 1000), Deferred.await(over))
              if (isOver) return yield* Effect.never
              live--
              isLive.set(id, false)
              ends.push(yield* Clock.currentTimeMillis)
              lease.ended()
              yield* Effect.sleep("5 seconds")
            } else if (outcome === "silent") yield* Effect.sleep("1 second")
          }
        }).pipe(
          Effect.scoped,
          Effect.onInterrupt(() =>
            Effect.sync(() => {
              if (isLive.get(id) === true) live--
              isLive.set(id, false)
            })
          )
        )

      const fibers = yield* Effect.forEach(cameras, (one, id) =>
        Effect.forkChild(Effect.delay(camera(id, one), one.startsAt * 1000))
      )
      for (const [id, { leavesAfter, startsAt }] of cameras.entries()) {
        if (leavesAfter === undefined) continue
        yield* Effect.forkChild(
          Effect.delay(Fiber.interrupt(fibers[id]!), (startsAt + leavesAfter) * 1000)
        )
      }
      for (const phase of phases) {
        mode = phase.mode
        yield* TestClock.adjust(phase.lasts * 1000)
      }
      yield* TestClock.adjust(1_200_000)
      isOver = true
      yield* Deferred.succeed(over, undefined)
      // an attempt under way ends, the longest wait is over, and all others follow
      yield* TestClock.adjust(lockoutMs + 10_000)
      for (const [id, { leavesAfter }] of cameras.entries()) {
        assert.strictEqual(isLive.get(id) ?? false, leavesAfter === undefined, `camera ${id}`)
      }
      // no permit was lost: one more camera gets its own at once
      assert.isTrue(yield* isFree(yield* acquire(guard, "another")))
      yield* Fiber.interruptAll(fibers)
      return { refusals, ends }
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

  const mostWithin = (times: ReadonlyArray<number>, windowMs: number) =>
    Math.max(
      0,
      ...times.map((from) => times.filter((at) => at >= from && at < from + windowMs).length)
    )

  it("loses no wake-up while a camera that resumes makes the next change", () => {
    const camera = (takes: number, isSilent: boolean) => ({
      startsAt: 0,
      takes,
      lives: 1,
      isForbidden: false,
      isSilent,
      leavesAfter: undefined
    })
    return Effect.runPromise(
      play({
        cameras: [camera(0, true), camera(3, true), camera(0, false), camera(17, true)],
        phases: [{ mode: "refuses", lasts: 3600 }]
      })
    )
  })

  it("allows every camera again and loses no permit, in any order of events", () =>
    fc.assert(
      fc.asyncProperty(anyHistory, (history) => Effect.runPromise(Effect.asVoid(play(history)))),
      { numRuns: 60 }
    ))

  it("sends a device at most two wrong passwords in a lockout delay at the start", () =>
    fc.assert(
      fc.asyncProperty(anyHistory, (history) =>
        Effect.gen(function* () {
          const { refusals } = yield* play({
            cameras: history.cameras.map((one) => ({ ...one, leavesAfter: undefined })),
            phases: [{ mode: "refuses", lasts: 3600 }]
          })
          // the second one may come late: then one per delay follows, and the window has both
          assert.isAtMost(mostWithin(refusals, lockoutMs), 2)
        }).pipe(Effect.runPromise)
      ),
      { numRuns: 100 }
    ))

  it("sends it at most four after it accepted them, and one more for each session that ended", () =>
    fc.assert(
      fc.asyncProperty(anyHistory, (history) =>
        Effect.gen(function* () {
          const { ends, refusals } = yield* play({
            cameras: history.cameras.map((one) => ({
              ...one,
              isForbidden: false,
              isSilent: false,
              leavesAfter: undefined
            })),
            phases: [
              { mode: "accepts", lasts: 650 },
              { mode: "refuses", lasts: 3600 }
            ]
          })
          for (const from of refusals) {
            const within = (at: number) => at >= from - 15_000 && at < from + lockoutMs
            assert.isAtMost(
              refusals.filter((at) => at >= from && at < from + lockoutMs).length,
              4 + ends.filter(within).length
            )
          }
        }).pipe(Effect.runPromise)
      ),
      { numRuns: 100 }
    ))
})
