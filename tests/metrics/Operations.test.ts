/** The files for Prometheus and Grafana use series that the daemon has. */
import { assert, describe, it } from "@effect/vitest"
import { Reason } from "@restream/core"
import { Effect, Metric } from "effect"
import { Metrics } from "@restream/core"
import { readFileSync } from "node:fs"
import { serve } from "../http/DaemonServer.ts"
import * as Promtool from "./Promtool.ts"

const ops = new URL("../../ops/", import.meta.url).pathname
const rules = readFileSync(`${ops}prometheus/rules.yml`, "utf8")
const dashboard = JSON.parse(readFileSync(`${ops}grafana/restream.json`, "utf8")) as {
  readonly panels: ReadonlyArray<{ readonly targets: ReadonlyArray<{ readonly expr: string }> }>
}

/** The names in expressions, and not those of recording rules, functions or labels. */
const namesIn = (text: string): ReadonlyArray<string> => [
  ...new Set(
    [...text.matchAll(/\b(?:restream|process)_[a-z0-9_]+\b/g)].map(([name]) =>
      name.replace(/_bucket$/, "")
    )
  )
]

describe("ops", () => {
  it.live("names series that /metrics has", () =>
    Effect.gen(function* () {
      const { send } = yield* serve()
      // the test's tree has no metrics of a registry; all of them are made by the modules
      const { body } = yield* send("/metrics")
      const reason = new Reason.NoVideo()._tag
      const made = [
        Metrics.cameras,
        Metric.withAttributes(Metrics.restarts, { reason }),
        Metrics.stalls,
        Metrics.relayedBytes,
        Metrics.relayedPackets,
        Metrics.lostPackets,
        Metrics.droppedPackets,
        Metrics.probeDuration,
        Metrics.reconcileDuration,
        Metrics.snapshotAge,
        Metrics.databaseUp,
        Metrics.mediaServerUp,
        Metrics.mediaServerApiUp,
        Metrics.offlineCameras
      ].map(({ id }) => id)
      const known = new Set([
        ...made,
        ...[...body.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
      ])
      const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
      for (const text of [rules, expressions.join("\n")]) {
        const names = namesIn(text)
        assert.isAbove(names.length, 5)
        assert.deepStrictEqual(
          names.filter((name) => !known.has(name)),
          []
        )
      }
    })
  )

  it("has rules that promtool accepts, with tests that pass and name each alert", () => {
    const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!)
    const tests = readFileSync(`${ops}prometheus/rules.test.yml`, "utf8")
    for (const alert of alerts) assert.include(tests, `alertname: ${alert}`)
    const checked = Promtool.check(["check", "rules", `${ops}prometheus/rules.yml`])
    if (checked !== undefined) assert.strictEqual(checked.status, 0, checked.output)
    const tested = Promtool.check(["test", "rules", `${ops}prometheus/rules.test.yml`])
    if (tested !== undefined) assert.strictEqual(tested.status, 0, tested.output)
  })
})
