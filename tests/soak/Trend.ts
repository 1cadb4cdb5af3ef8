/** A straight line through measurements, by least squares. */

export interface Trend {
  /** What the value grows by, an hour. */
  readonly perHour: number
  /** The standard error of that. */
  readonly standardError: number
  /** Whether zero lies within two standard errors: growth can't be told from chance then. */
  readonly isFlat: boolean
}

/** @param points moments in milliseconds with their values; three at least. */
export const trend = (points: ReadonlyArray<readonly [atMs: number, value: number]>): Trend => {
  const count = points.length
  const hours = points.map(([atMs]) => atMs / 3_600_000)
  const mean = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0) / count
  const meanHour = mean(hours)
  const meanValue = mean(points.map(([, value]) => value))
  const spread = hours.reduce((sum, hour) => sum + (hour - meanHour) ** 2, 0)
  if (count < 3 || spread === 0) return { perHour: NaN, standardError: NaN, isFlat: false }
  const perHour =
    points.reduce(
      (sum, [, value], index) => sum + ((hours[index] ?? 0) - meanHour) * (value - meanValue),
      0
    ) / spread
  const rest = points.reduce((sum, [, value], index) => {
    const expected = meanValue + perHour * ((hours[index] ?? 0) - meanHour)
    return sum + (value - expected) ** 2
  }, 0)
  const standardError = Math.sqrt(rest / (count - 2) / spread)
  return { perHour, standardError, isFlat: Math.abs(perHour) <= 2 * standardError }
}
