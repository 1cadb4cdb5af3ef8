/** Durations as an operator reads them: `0.5 s`, `4 s`, `5 min`, `1 h 30 min`. */
import * as Duration from "effect/Duration"

const units = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1]
] as const

/** The two largest units; tenths below one second, and never zero. @param millis in milliseconds. */
export const formatMillis = (millis: number): string => {
  const tenths = Math.max(1, Math.round(millis / 100))
  if (tenths < 10) return `${tenths / 10} s`
  let rest = Math.round(millis / 1000)
  const parts: Array<string> = []
  for (const [unit, seconds] of units) {
    const count = Math.floor(rest / seconds)
    rest -= count * seconds
    if (count > 0) parts.push(`${count} ${unit}`)
    else if (parts.length > 0) break
    if (parts.length === 2) break
  }
  return parts.join(" ")
}

export const format = (duration: Duration.Input): string =>
  formatMillis(Duration.toMillis(Duration.fromInputUnsafe(duration)))

/** For an elapsed time, which is shown as at least one second. */
export const formatElapsed = (millis: number): string => formatMillis(Math.max(1000, millis))
