/** The text format of Prometheus, version 0.0.4. Pure. */

export interface Sample {
  readonly labels: string
  readonly value: number
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" }

/** Labels as the format writes them: `{camera="7",path="cam7"}`; empty without labels. */
export const labels = (values: Readonly<Record<string, string>>): string => {
  const pairs = Object.entries(values).map(
    ([name, value]) => `${name}="${value.replaceAll(/[\\"\n]/g, (found) => escapes[found] ?? "")}"`
  )
  return pairs.length === 0 ? "" : `{${pairs.join()}}`
}

/** A family with its help, its type and its samples. The name of a counter ends with `_total`. */
export const family = (
  name: string,
  type: "counter" | "gauge",
  help: string,
  samples: ReadonlyArray<Sample>
): string => {
  const lines = samples.map(({ labels, value }) => `${name}${labels} ${value}\n`).join("")
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}`
}
