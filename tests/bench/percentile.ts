/** The value below which so many percent of the sorted values lie; 0 where there are none. */
export const percentile = (sorted: ReadonlyArray<number>, percent: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? 0
