/** The series of this process, by the names that Prometheus' client libraries use. */
import { Exposition } from "@restream/core"
import { monitorEventLoopDelay } from "node:perf_hooks"

const { family, labels } = Exposition

const windowMs = 15_000

/** Measures the delay of the event loop in windows of 15 seconds. */
export class ProcessSeries {
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>
  readonly #version: string
  readonly #clusterNode: string | undefined
  #p99 = 0
  #windowEndsMs = 0

  /** @param clusterNode the name of this node, where cameras are shared among nodes. */
  constructor(version: string, clusterNode: string | undefined) {
    this.#version = version
    this.#clusterNode = clusterNode
    this.#delay = monitorEventLoopDelay({ resolution: 20 })
    this.#delay.enable()
  }

  close(): void {
    this.#delay.disable()
  }

  /** The families. @param nowMs by the monotonic clock. */
  render(nowMs: number): string {
    if (nowMs >= this.#windowEndsMs) {
      // without the timer's own interval, which is not a delay
      this.#p99 = Math.max(0, this.#delay.percentile(99) / 1e9 - 0.02)
      this.#delay.reset()
      this.#windowEndsMs = nowMs + windowMs
    }
    const cpu = process.cpuUsage()
    const one = (value: number, text = "") => [{ labels: text, value }]
    return [
      family(
        "restream_build_info",
        "gauge",
        "Version of restream and of Node; always 1",
        one(1, labels({ version: this.#version, node: process.versions.node }))
      ),
      ...(this.#clusterNode === undefined
        ? []
        : [
            family(
              "restream_cluster_node_info",
              "gauge",
              "Name of this node of the cluster; always 1",
              one(1, labels({ name: this.#clusterNode }))
            )
          ]),
      family(
        "restream_event_loop_delay_p99_seconds",
        "gauge",
        "99th percentile of the delay of the event loop in the last 15 seconds or more",
        one(this.#p99)
      ),
      family(
        "process_cpu_seconds_total",
        "counter",
        "CPU time of the process, in seconds",
        one((cpu.user + cpu.system) / 1e6)
      ),
      family(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the process, in bytes",
        one(process.memoryUsage.rss())
      ),
      family(
        "process_start_time_seconds",
        "gauge",
        "When the process started, in seconds since 1970",
        one(Math.round(performance.timeOrigin) / 1000)
      )
    ].join("")
  }
}
