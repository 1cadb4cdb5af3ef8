/**
 * Sends traces, metrics and log lines to an OpenTelemetry collector, by OTLP over HTTP with JSON.
 *
 * If the collector is unreachable, slow or faulty, only the exported data is lost.
 */
import { oneLine, redact, type Settings } from "@restream/config"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as OtlpExporter from "effect/observability/OtlpExporter"
import * as OtlpLogger from "effect/observability/OtlpLogger"
import * as OtlpMetrics from "effect/observability/OtlpMetrics"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import * as OtlpTracer from "effect/observability/OtlpTracer"
import { version } from "../version.ts"

/** How long the shutdown waits for a collector that does not respond. */
const shutdownTimeout = Duration.seconds(1)

/** `name=value,other=value` as headers; the form of OTEL_EXPORTER_OTLP_HEADERS. */
const headersOf = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    text.split(",").flatMap((pair) => {
      const equals = pair.indexOf("=")
      const name = pair.slice(0, Math.max(0, equals)).trim()
      return name === "" ? [] : [[name, pair.slice(equals + 1).trim()] as const]
    })
  )

const text = (message: unknown): string =>
  (Array.isArray(message) ? message : [message])
    .map((part) => (typeof part === "string" ? part : (JSON.stringify(part) ?? String(part))))
    .join(" ")

/** A logger that gets messages and causes as one redacted line, at info and above. */
const redacted = (logger: Logger.Logger<unknown, void>): Logger.Logger<unknown, void> =>
  Logger.make((options) => {
    if (LogLevel.isLessThan(options.logLevel, "Info")) return
    const cause = options.cause.reasons.length === 0 ? "" : ` ${Cause.pretty(options.cause)}`
    logger.log({
      ...options,
      message: oneLine(redact(text(options.message) + cause)),
      cause: Cause.empty
    })
  })

/** The exporters, in addition to the loggers in context. Empty without `otlp.url`. */
export const layer = ({ headers, interval, url }: Settings["otlp"]): Layer.Layer<never> => {
  if (url === undefined) return Layer.empty
  const common = (path: string) => ({
    url: `${url}/v1/${path}`,
    resource: { serviceName: "restream", serviceVersion: version },
    exportInterval: interval,
    shutdownTimeout,
    ...(headers === undefined ? {} : { headers: headersOf(Redacted.value(headers)) })
  })
  const logs = Logger.layer([Effect.map(OtlpLogger.make(common("logs")), redacted)], {
    mergeWithExisting: true
  })
  return logs.pipe(
    Layer.provide(OtlpExporter.layerFlusher),
    Layer.merge(OtlpTracer.layer(common("traces"))),
    Layer.merge(OtlpMetrics.layer(common("metrics"))),
    Layer.provide([OtlpSerialization.layerJson, FetchHttpClient.layer])
  )
}
