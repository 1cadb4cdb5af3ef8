/** Durations and sizes with units, such as `10 seconds` or `10MB`. */
import * as Duration from "effect/Duration"

type Units = ReadonlyMap<string, number>

const units = (
  ...rows: ReadonlyArray<readonly [factor: number, ...names: ReadonlyArray<string>]>
) => new Map(rows.flatMap(([factor, ...names]) => names.map((name) => [name, factor] as const)))

/** In milliseconds. `m` is a minute. */
const durationUnits: Units = units(
  [1, "ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"],
  [1_000, "s", "sec", "secs", "second", "seconds"],
  [60_000, "m", "min", "mins", "minute", "minutes"],
  [3_600_000, "h", "hr", "hrs", "hour", "hours"],
  [86_400_000, "d", "day", "days"],
  [604_800_000, "w", "week", "weeks"]
)

/** In bytes. `k` and `M` are not accepted, because they are ambiguous: powers of 1000 or of 1024. */
const sizeUnits: Units = units(
  [1, "b", "byte", "bytes"],
  [1e3, "kb"],
  [1e6, "mb"],
  [1e9, "gb"],
  [1e12, "tb"],
  [2 ** 10, "kib"],
  [2 ** 20, "mib"],
  [2 ** 30, "gib"],
  [2 ** 40, "tib"]
)

const quantity = /^(\d{1,15})(?:\.(\d{1,9}))?\s*([a-z]+)$/

/** The number in the smallest unit, if it is whole. Exact: 0.1 s is 100 ms and not 100.00…1 ms. */
const parse = (text: string, byName: Units): number | undefined => {
  const match = quantity.exec(text.trim().toLowerCase())
  const factor = byName.get(match?.[3] ?? "")
  if (match === null || factor === undefined) return undefined
  const fraction = match[2] ?? ""
  const scale = 10n ** BigInt(fraction.length)
  const numerator = BigInt(`${match[1]}${fraction}`) * BigInt(factor)
  const value = Number(numerator / scale)
  return numerator % scale === 0n && Number.isSafeInteger(value) ? value : undefined
}

/** A duration in whole milliseconds: `10 seconds`, `5s`, `500 ms`, `2min`, `1.5 h`. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  const milliseconds = parse(text, durationUnits)
  return milliseconds === undefined ? undefined : Duration.millis(milliseconds)
}

/** A size in bytes: `10 MB` is 10,000,000 and `10 MiB` is 10,485,760. */
export const parseSize = (text: string): number | undefined => parse(text, sizeUnits)

const plural = (count: number, unit: string): string => `${count} ${unit}${count === 1 ? "" : "s"}`

const printedDurations = [
  [86_400_000, "day"],
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1_000, "second"]
] as const

/** The shortest text for a duration that {@link parseDuration} reads: `90 seconds`, `2 minutes`, `500 ms`. */
export const printDuration = (duration: Duration.Duration): string => {
  const milliseconds = Duration.toMillis(duration)
  for (const [factor, unit] of printedDurations) {
    if (milliseconds !== 0 && milliseconds % factor === 0) {
      return plural(milliseconds / factor, unit)
    }
  }
  return `${milliseconds} ms`
}

const printedSizes = [
  [2 ** 40, "TiB"],
  [1e12, "TB"],
  [2 ** 30, "GiB"],
  [1e9, "GB"],
  [2 ** 20, "MiB"],
  [1e6, "MB"],
  [2 ** 10, "KiB"],
  [1e3, "kB"]
] as const

/** The shortest text for a number of bytes that {@link parseSize} reads. */
export const printSize = (bytes: number): string => {
  for (const [factor, unit] of printedSizes) {
    if (bytes !== 0 && bytes % factor === 0) return `${bytes / factor} ${unit}`
  }
  return `${bytes} B`
}
