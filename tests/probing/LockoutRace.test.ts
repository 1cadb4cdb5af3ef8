/**
 * A camera whose password was refused tries again when the lockout delay is over, however the readings of
 * the clock fall.
 */
import { assert, describe, it } from "@effect/vitest"
import { type CameraId, CredentialGuard, Reason, StreamUrl } from "@restream/core"
import { Clock, Duration, Effect, Result } from "effect"

const refusal = new Reason.Unauthorized({ credentials: "wrong" })

const urlOf = (id: number) =>
  Result.getOrThrow(StreamUrl.parse(`rtsp://admin:wrong@10.0.${id >> 8}.${id & 255}/live`))

/** Refuses the password of a camera again and again; gives the number of its attempts. */
const refuseRepeatedly = (guard: CredentialGuard.CredentialGuard, id: number, attempts: number) =>
  Effect.gen(function* () {
    const lease = yield* guard.acquire({ id: String(id) as CameraId, url: urlOf(id) })
    for (let attempt = 1; attempt <= attempts; attempt++) {
      yield* Effect.sync(() => lease.refused(refusal)).pipe(lease.withPermit(() => Effect.void))
    }
    return attempts
  }).pipe(Effect.scoped)

/** A clock on which each reading of the time takes a while, as on a machine that is busy. */
const slowToRead = (clock: Clock.Clock, readingMs: number): Clock.Clock => {
  let readings = 0
  const nanos = () => clock.monotonicTimeNanosUnsafe() + BigInt(++readings * readingMs * 1e6)
  return Object.assign(Object.create(clock) as Clock.Clock, {
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos)
  })
}

describe("CredentialGuard, when the lockout delay ends between two readings of the clock", () => {
  it.live("allows the camera to try again", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      // for any number of readings per round, the delay ends between two of them in one of these cases
      for (let readingMs = 1; readingMs <= 20; readingMs++) {
        const guard = CredentialGuard.make(() => Duration.millis(20))
        const attempts = yield* refuseRepeatedly(guard, 1, 5).pipe(
          Effect.provideService(Clock.Clock, slowToRead(clock, readingMs)),
          Effect.timeoutOption("5 seconds")
        )
        assert.isTrue(attempts._tag === "Some", `stuck with ${readingMs} ms per reading`)
      }
    })
  )

  const waits = Number(process.env["STRESS_WAITS"] ?? 100_000)
  it.live(`loses no camera in ${waits} waits of 20 ms`, () =>
    Effect.gen(function* () {
      const cameras = 500
      const guard = CredentialGuard.make(() => Duration.millis(20))
      const done = yield* Effect.forEach(
        Array.from({ length: cameras }, (_, index) => index),
        (id) => refuseRepeatedly(guard, id, Math.ceil(waits / cameras) + 1),
        { concurrency: "unbounded" }
      ).pipe(Effect.timeoutOption("50 seconds"))
      assert.isTrue(done._tag === "Some", "a camera waits for a change that nobody makes")
    })
  )
})
