/** Rules for the text format of Prometheus: what `promtool check metrics` finds, and what our names promise. */

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y

/** The name of the family that a sample belongs to. */
const familyOf = (name: string, types: ReadonlyMap<string, string>): string => {
  const base = name.replace(/_(?:bucket|sum|count)$/, "")
  return types.get(base) === "histogram" ? base : name
}

/** The labels of a sample; `undefined` if they are malformed. */
export const parseLabels = (text: string): ReadonlyMap<string, string> | undefined => {
  const found = new Map<string, string>()
  const inner = text.slice(1, -1)
  labelPair.lastIndex = 0
  let at = 0
  while (at < inner.length) {
    labelPair.lastIndex = at
    const match = labelPair.exec(inner)
    if (match === null || found.has(match[1]!)) return undefined
    found.set(match[1]!, match[2]!)
    at = labelPair.lastIndex
  }
  return found
}

const wrongUnits =
  /_(?:ms|millis|milliseconds|minutes|hours|kb|kilobytes|mb|megabytes|percent|bits)(?:_|$)/

/** What is wrong with an exposition, one line each. */
export const problemsOf = (text: string): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const helps = new Set<string>()
  const types = new Map<string, string>()
  const finished = new Set<string>()
  const series = new Set<string>()
  const sampled = new Map<string, Set<string>>()
  let current: string | undefined
  if (!text.endsWith("\n")) problems.push("the last line has no line break")
  for (const line of text.trimEnd().split("\n")) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment
      if (kind === "HELP") {
        if (helps.has(name)) problems.push(`${name}: HELP twice`)
        helps.add(name)
      } else {
        if (types.has(name)) problems.push(`${name}: TYPE twice`)
        types.set(name, rest)
        if ((rest === "counter") !== name.endsWith("_total")) {
          problems.push(`${name}: _total is for counters, and for all of them`)
        }
      }
      if (wrongUnits.test(name)) problems.push(`${name}: not a base unit`)
      if (name !== current) {
        if (finished.has(name)) problems.push(`${name}: its lines are not together`)
        if (current !== undefined) finished.add(current)
        current = name
      }
      continue
    }
    const sample = sampleLine.exec(line)
    if (sample === null) {
      problems.push(`not a sample: ${line}`)
      continue
    }
    const [, name = "", labels = "{}", value = ""] = sample
    const family = familyOf(name, types)
    if (family !== current) problems.push(`${name}: its lines are not together`)
    if (!helps.has(family) || !types.has(family)) problems.push(`${name}: no HELP or no TYPE`)
    if (parseLabels(labels) === undefined) problems.push(`${name}: malformed labels ${labels}`)
    if (Number.isNaN(Number(value.replace("Inf", "Infinity")))) {
      problems.push(`${name}: ${value} is not a number`)
    }
    if (series.has(name + labels)) problems.push(`${name}${labels}: twice`)
    series.add(name + labels)
    const names = sampled.get(family) ?? new Set()
    sampled.set(family, names.add(labels.includes('le="+Inf"') ? "+Inf" : name))
  }
  for (const [name, type] of types) {
    if (type !== "histogram" || !sampled.has(name)) continue
    for (const part of ["+Inf", `${name}_sum`, `${name}_count`]) {
      if (!sampled.get(name)!.has(part)) problems.push(`${name}: no ${part}`)
    }
  }
  return problems
}

/** The values by the whole series: `restream_camera_up{camera="1",path="cam1"}`. */
export const valuesOf = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text.split("\n").flatMap((line) => {
      const sample = sampleLine.exec(line)
      return sample === null ? [] : [[sample[1]! + (sample[2] ?? ""), Number(sample[3])] as const]
    })
  )
