/**
 * Probes cameras by one engine, as `restream check` does, and tells how long that took and what it cost.
 * The engine is the setting `camera.engine`, from the environment.
 */
import { NodeServices } from "@effect/platform-node"
import { load } from "@restream/config"
import { Check, Restream, ProbeScheduler, LiveSettings, CameraTypes } from "@restream/core"
import { Duration, Effect, Layer, Result, Stream } from "effect"
import * as Proc from "../kit/Proc.ts"
import { makeDecoder } from "../kit/Decoder.ts"

export interface ProberOrder {
  readonly urls: ReadonlyArray<string>
}

export interface ProberReport {
  readonly wallMs: number
  /** Of this process and of those that it started. */
  readonly cpuMs: number
  /** How many cameras there are of each outcome: `good`, or the reason's name. */
  readonly outcomes: Readonly<Record<string, number>>
  readonly deadlineMs: number
}

const { settings } = Result.getOrThrow(load({ env: process.env }))

const cpuMs = () => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1000 + (Proc.readStat(process.pid)?.childSeconds ?? 0) * 1000
}

const outcomeOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
    case "Relayed":
      return "good"
    case "Unreachable":
      return result.reason._tag
    case "Invalid":
      return "Invalid"
  }
}

const probe = ({ urls }: ProberOrder) =>
  Effect.gen(function* () {
    const rows = urls.map((url, index) => ({ id: index + 1, url }))
    const { cameras } = makeDecoder({
      types: CameraTypes.make(),
      pathTemplate: settings.mediaServer.pathTemplate,
      defaults: { ...settings.camera, fingerprint: undefined }
    })(rows)
    const cpuBefore = cpuMs()
    const startedAt = performance.now()
    const results = yield* Check.run(cameras.values()).pipe(Stream.runCollect)
    const wallMs = performance.now() - startedAt
    const outcomes: Record<string, number> = {}
    for (const result of results) {
      const outcome = outcomeOf(result)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    }
    const deadlineMs = Duration.toMillis(settings.probe.timeout)
    return { wallMs, cpuMs: cpuMs() - cpuBefore, outcomes, deadlineMs } satisfies ProberReport
  }).pipe(
    Effect.provide(
      ProbeScheduler.layerOnce(settings.probe).pipe(
        Layer.provide(Restream.builtInEngines),
        Layer.provide(LiveSettings.layer(settings)),
        Layer.provide(NodeServices.layer)
      )
    )
  )

process.on("message", (order: ProberOrder) => {
  void Effect.runPromise(probe(order)).then((report) => process.send?.(report))
})
process.on("disconnect", () => process.exit())
process.on("SIGTERM", () => process.exit())
process.send?.({ ready: true })
