/** What other daemons know of the same devices, by a `Refusals` in memory that says what the test wants. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraId, CredentialGuard, Reason, type Refusals, StreamUrl } from "@restream/core"
import { Duration, Effect, Redacted, Result } from "effect"
import { TestClock } from "effect/testing"

const lockout = Duration.minutes(5)
const minute = 60_000
const wrong = new Reason.Unauthorized({ credentials: "wrong" })
const url = Result.getOrThrow(StreamUrl.parse("rtsp://admin:secret@10.0.0.9/live"))
const known = (more: Partial<Refusals.Known> = {}): Refusals.Known => ({
  suspects: new Map(),
  refusals: 0,
  acceptedAgoMs: undefined,
  last: undefined,
  ...more
})
/** Two cameras of other daemons were refused. */
const refusedElsewhere = (untilInMs: number, code = "wrong") =>
  known({
    suspects: new Map([
      ["far 1", false],
      ["far 2", false]
    ]),
    refusals: 2,
    last: { by: "far 2" as CameraId, code, untilInMs }
  })

const site = (isSinglePass = false) => {
  const told: Array<Refusals.Outcome> = []
  const claims: Array<readonly [name: string, camera: string, isForced: boolean]> = []
  const answers = {
    claim: { isGranted: true, isProven: false, known: undefined } as Refusals.Claim,
    recall: undefined as Refusals.Known | undefined,
    recalls: 0
  }
  const refusals: Refusals.RefusalsService = {
    isShared: true,
    digest: (camera) => `#${camera}`,
    claim: (group, camera, isForced) =>
      Effect.sync(() => {
        claims.push([Redacted.value(group) as string, camera, isForced])
        return answers.claim
      }),
    tell: (_, outcome) => void told.push(outcome),
    recall: (groups) =>
      Effect.sync(() => {
        answers.recalls++
        return new Map(answers.recall && groups.map((group) => [group, answers.recall!]))
      })
  }
  const guard = CredentialGuard.make(() => lockout, isSinglePass, refusals)
  const acquire = (id: number) => guard.acquire({ id: String(id) as CameraId, url })
  return { told, claims, answers, guard, acquire }
}

/** The reason of the wait, if the camera has to wait. `undefined`: it waits for another attempt. */
const waitOf = (lease: CredentialGuard.Lease) =>
  Effect.fail("free" as const).pipe(
    lease.withPermit((refusal) => Effect.fail(refusal ?? ("another attempt" as const))),
    Effect.flip
  )

const attempt = <A, E>(lease: CredentialGuard.Lease, effect: Effect.Effect<A, E>) =>
  effect.pipe(lease.withPermit(() => Effect.die("it has to wait")))

describe("what other daemons know of a device", () => {
  it.effect("is asked for before a camera, by the credentials and a digest", () =>
    Effect.gen(function* () {
      const { acquire, claims } = site()
      const lease = yield* acquire(1)
      assert.isTrue(yield* attempt(lease, lease.claim))
      assert.deepStrictEqual(claims, [
        [JSON.stringify(["10.0.0.9:554", "admin", "secret"]), `#1\n${url.path}`, false]
      ])
    })
  )

  it.effect("is not asked for while a camera of the same credentials is live", () =>
    Effect.gen(function* () {
      const { acquire, claims } = site()
      const live = yield* acquire(1)
      const next = yield* acquire(2)
      live.accepted()
      assert.isTrue(yield* attempt(next, next.claim))
      assert.deepStrictEqual(claims, [])
    })
  )

  it.effect("keeps a camera from being tried that they were refused for, with their reason", () =>
    Effect.gen(function* () {
      const { acquire, answers } = site()
      const lease = yield* acquire(1)
      answers.claim = {
        isGranted: false,
        isProven: false,
        known: refusedElsewhere(2 * minute, "locked")
      }
      assert.isFalse(yield* attempt(lease, lease.claim))
      assert.isTrue(lease.isGroupBlocked)
      assert.isTrue(lease.isRefused)
      const wait = yield* waitOf(lease)
      assert.deepStrictEqual(wait, {
        reason: new Reason.Unauthorized({ credentials: "locked", refusedFor: "far 2" as CameraId }),
        until: 2 * minute
      })
      yield* TestClock.adjust(2 * minute)
      assert.strictEqual(yield* waitOf(lease), "free")
    })
  )

  it.effect("ends no wait earlier, and blocks nobody, when it is over", () =>
    Effect.gen(function* () {
      const { acquire, answers } = site()
      const lease = yield* acquire(1)
      answers.claim = { isGranted: true, isProven: false, known: refusedElsewhere(0) }
      assert.isTrue(yield* attempt(lease, lease.claim))
      assert.strictEqual(yield* waitOf(lease), "free")
    })
  )

  it.effect("is asked again a moment after another daemon had the attempt", () =>
    Effect.gen(function* () {
      const { acquire, answers } = site()
      const lease = yield* acquire(1)
      answers.claim = { isGranted: false, isProven: false, known: undefined }
      assert.isFalse(yield* attempt(lease, lease.claim))
      assert.strictEqual(yield* waitOf(lease), "another attempt")
      yield* TestClock.adjust("250 millis")
      assert.strictEqual(yield* waitOf(lease), "free")
    })
  )

  it.effect("lets cameras be tried together where another daemon was just accepted", () =>
    Effect.gen(function* () {
      const { acquire, answers, told } = site()
      const [one, two] = [yield* acquire(1), yield* acquire(2)]
      answers.claim = { isGranted: true, isProven: true, known: known({ acceptedAgoMs: 100 }) }
      const together = Effect.gen(function* () {
        assert.isTrue(yield* one.claim)
        assert.strictEqual(yield* waitOf(two), "free")
      })
      yield* attempt(one, together)
      // nobody waits for the outcome
      assert.deepStrictEqual(told, [])
    })
  )

  it.effect("is told each outcome that they wait for, once", () =>
    Effect.gen(function* () {
      const { acquire, told } = site()
      const lease = yield* acquire(1)
      yield* attempt(lease, lease.claim)
      yield* attempt(lease, Effect.void)
      assert.deepStrictEqual(told.splice(0), [{ _tag: "Released" }])
      yield* attempt(
        lease,
        Effect.map(lease.claim, () => lease.accepted())
      )
      assert.deepStrictEqual(told.splice(0), [{ _tag: "Accepted" }])
      lease.ended()
      // accepted before: the first delay is short
      assert.deepStrictEqual(told.splice(0), [{ _tag: "Ended", delayMs: 5_000 }])
      yield* attempt(
        lease,
        Effect.map(lease.claim, () => lease.refused(wrong))
      )
      assert.deepStrictEqual(told, [
        {
          _tag: "Refused",
          camera: `#1\n${url.path}`,
          by: "1" as CameraId,
          code: "wrong",
          wasAccepted: true,
          delayMs: 5_000
        }
      ])
    })
  )

  it.effect(
    "is recalled only while a device refuses, and ends the wait where it was accepted",
    () =>
      Effect.gen(function* () {
        const { acquire, answers, guard } = site()
        const [one, two, three] = [yield* acquire(1), yield* acquire(2), yield* acquire(3)]
        yield* guard.recall
        assert.strictEqual(answers.recalls, 0)
        one.refused(wrong)
        two.refused(wrong)
        yield* TestClock.adjust("1 minute")

        const isBlocked = Effect.map(waitOf(three), (wait) => wait !== "free")
        for (const since of [
          undefined,
          // of before the refusal
          known({ acceptedAgoMs: minute }),
          known({ acceptedAgoMs: 2 * minute }),
          // refused again since
          { ...refusedElsewhere(minute), acceptedAgoMs: 1_000 },
          known()
        ]) {
          answers.recall = since
          yield* guard.recall
          assert.isTrue(yield* isBlocked)
        }
        yield* TestClock.adjust("2 seconds")
        answers.recall = known({ acceptedAgoMs: 1_000 })
        yield* guard.recall
        assert.strictEqual(yield* waitOf(three), "free")
        assert.strictEqual(yield* waitOf(one), "free")
        assert.isFalse(three.isGroupBlocked)
      })
  )

  it.effect("prolongs a wait by a further refusal of the same camera, without another notice", () =>
    Effect.gen(function* () {
      const { acquire, answers, guard } = site()
      const lease = yield* acquire(1)
      answers.claim = { isGranted: false, isProven: false, known: refusedElsewhere(minute) }
      yield* attempt(lease, lease.claim)
      const notices: Array<unknown> = []
      let ended = false
      yield* Effect.forkChild(
        Effect.sync(() => void (ended = true)).pipe(
          lease.withPermit((refusal) => Effect.sync(() => void notices.push(refusal?.until)))
        )
      )
      yield* TestClock.adjust("30 seconds")
      answers.recall = refusedElsewhere(minute)
      yield* guard.recall
      yield* TestClock.adjust("59 seconds")
      assert.isFalse(ended)
      assert.deepStrictEqual(notices, [minute])
      yield* TestClock.adjust("1 second")
      assert.isTrue(ended)
    })
  )

  it.effect("applies to the camera itself where it was refused elsewhere before it moved", () =>
    Effect.gen(function* () {
      const { acquire, answers } = site()
      const [moved, other] = [yield* acquire(1), yield* acquire(2)]
      const last = { by: "1" as CameraId, code: "wrong", untilInMs: minute }
      answers.claim = {
        isGranted: false,
        isProven: false,
        known: known({ suspects: new Map([[`#1\n${url.path}`, true]]), refusals: 1, last })
      }
      yield* attempt(moved, moved.claim)
      yield* TestClock.adjust("1 second")
      // one suspect blocks nobody else
      assert.strictEqual(yield* waitOf(other), "free")
      const wait = yield* waitOf(moved)
      assert.deepStrictEqual(wait, { reason: wrong, until: minute })
    })
  )
})
