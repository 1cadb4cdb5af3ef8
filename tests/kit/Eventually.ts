/** Waits for conditions outside of this process. */
import { Effect } from "effect"

/** Waits for something outside of this process, and says what was missing if it does not come. */
export const until = (
  what: string,
  condition: () => boolean,
  detail: () => string = () => ""
): Effect.Effect<void> =>
  Effect.gen(function* () {
    // less than the time-out of a test
    const deadline = performance.now() + 60_000
    while (!condition()) {
      if (performance.now() > deadline) {
        return yield* Effect.die(new Error(`waited in vain: ${what}\n${detail()}`))
      }
      yield* Effect.sleep("20 millis")
    }
  })

/** The same for a condition that is an effect. */
export const untilEffect = <E, R>(
  what: string,
  condition: Effect.Effect<boolean, E, R>
): Effect.Effect<void, E, R> => {
  let isMet = false
  const look = Effect.map(condition, (met) => {
    isMet ||= met
  })
  return Effect.raceFirst(
    until(what, () => isMet),
    Effect.forever(Effect.andThen(look, Effect.sleep(5)))
  )
}
