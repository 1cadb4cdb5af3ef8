/**
 * Delivers messages to webhooks. A failing webhook delays no other webhook: each has one fiber and a bounded queue. A
 * message is retried with backoff for a day; the settings are read before each attempt, so that a corrected URL is
 * used.
 */
import { displayWebhookUrl, type Webhook } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as HttpClient from "effect/http/HttpClient"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import { format, formatElapsed } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import type { Alert } from "./Alert.ts"
import { send } from "./WebhookClient.ts"
import { WebhookError } from "./WebhookError.ts"
import type { Message } from "./WebhookRequest.ts"

/** The most messages that wait for one webhook; then the oldest is dropped. */
const queueSize = 100
const firstDelayMs = 1000
const maxDelayMs = 60_000
/** The delay after errors that only a change of the settings can resolve. */
const rejectedDelayMs = 5 * 60_000
const maxRetryAfterMs = 60 * 60_000
const maxAgeMs = 24 * 60 * 60_000

interface Waiting {
  readonly message: Message
  readonly createdMs: number
}

interface Worker {
  readonly queue: Queue.Queue<Waiting>
  isBusy: boolean
}

export interface Delivery {
  /** Queues an alert for every webhook of the settings; never waits. */
  readonly offer: (alert: Alert) => Effect.Effect<void>
  /** Sends the open alerts again to each Alertmanager with an empty queue, because alerts expire there. */
  readonly repeat: (alerts: ReadonlyArray<Alert>) => Effect.Effect<void>
}

/** Delivers in the scope. Messages that are queued when the scope closes are dropped. */
export const make = Effect.fnUntraced(function* (
  webhooks: Effect.Effect<ReadonlyArray<Webhook>>
): Effect.fn.Return<Delivery, never, HttpClient.HttpClient | Scope.Scope> {
  const scope = yield* Effect.scope
  // only the client: with the whole context, workers would log with the annotations of the caller
  const client = yield* HttpClient.HttpClient
  const workers = new Map<string, Worker>()
  const incidents = new Incidents<string>(Infinity)
  /** By the monotonic clock. */
  const failingSince = new Map<string, number>()
  /** The webhooks whose full queue was reported. */
  const overflowing = new Set<string>()

  const find = (name: string) =>
    Effect.map(webhooks, (all) => all.find((webhook) => webhook.name === name))

  /** One attempt by the current settings; `undefined`: delivered, or the webhook was removed from the settings. */
  const attempt = (name: string, message: Message) =>
    Effect.flatMap(find(name), (webhook) =>
      webhook === undefined
        ? Effect.succeed(undefined)
        : Effect.matchEffect(Effect.catchDefect(send(webhook, message), toError), {
            onSuccess: () => Effect.as(onDelivered(name), undefined),
            onFailure: (error) => Effect.succeed({ error, webhook })
          })
    )

  const onDelivered = Effect.fnUntraced(function* (name: string) {
    const now = yield* Monotonic.now
    const since = failingSince.get(name)
    failingSince.delete(name)
    overflowing.delete(name)
    if (incidents.succeeded(name, now) === "resolved" && since !== undefined) {
      yield* Effect.logInfo(
        `webhook "${name}" takes alerts again after ${formatElapsed(now - since)}`
      )
    }
    incidents.markStable(name)
  })

  const onFailed = Effect.fnUntraced(function* (
    { name, url }: Webhook,
    { detail, kind }: WebhookError,
    delayMs: number
  ) {
    const now = yield* Monotonic.now
    if (!failingSince.has(name)) failingSince.set(name, now)
    const notice = incidents.failed(name, kind, now)
    const line = `webhook "${name}" (${displayWebhookUrl(url)}) does not take alerts: ${detail}; retrying in ${format(delayMs)}`
    if (notice === undefined) yield* Effect.logDebug(line)
    else yield* Effect.logWarning(line + suffixOf(notice))
  })

  const deliver = Effect.fnUntraced(function* (name: string, { createdMs, message }: Waiting) {
    for (let failures = 0; ; failures++) {
      const failed = yield* attempt(name, message)
      if (failed === undefined) return
      const delayMs = yield* delayOf(failed.error, failures)
      if ((yield* Monotonic.now) + delayMs - createdMs > maxAgeMs) {
        yield* Effect.logError(
          `webhook "${name}": an alert could not be delivered for a day and is dropped`
        )
        return
      }
      yield* onFailed(failed.webhook, failed.error, delayMs)
      yield* Effect.sleep(Duration.millis(delayMs))
    }
  })

  const start = Effect.fnUntraced(function* (name: string) {
    const worker: Worker = { queue: yield* Queue.sliding<Waiting>(queueSize), isBusy: false }
    workers.set(name, worker)
    const next = Effect.gen(function* () {
      const waiting = yield* Queue.take(worker.queue)
      worker.isBusy = true
      yield* deliver(name, waiting)
      worker.isBusy = false
    })
    yield* Effect.forever(next).pipe(
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.forkIn(scope)
    )
    return worker
  })

  const enqueue = Effect.fnUntraced(function* (name: string, message: Message) {
    const worker = workers.get(name) ?? (yield* start(name))
    if ((yield* Queue.size(worker.queue)) >= queueSize && !overflowing.has(name)) {
      overflowing.add(name)
      yield* Effect.logError(
        `webhook "${name}": more than ${queueSize} alerts wait; the oldest are dropped`
      )
    }
    yield* Queue.offer(worker.queue, { message, createdMs: yield* Monotonic.now })
    return worker
  })

  return {
    offer: (alert) =>
      Effect.gen(function* () {
        const id = `${alert.id}-${alert.event}-${yield* Clock.currentTimeMillis}`
        for (const { name } of yield* webhooks) yield* enqueue(name, { alerts: [alert], id })
      }),
    repeat: Effect.fnUntraced(function* (alerts) {
      const now = yield* Clock.currentTimeMillis
      for (const { format, name } of yield* webhooks) {
        const worker = workers.get(name)
        const isIdle =
          worker === undefined || (!worker.isBusy && (yield* Queue.size(worker.queue)) === 0)
        if (format === "alertmanager" && isIdle && alerts.length > 0) {
          yield* enqueue(name, { alerts, id: `repeat-${now}` })
        }
      }
    })
  }
})

const toError = (): Effect.Effect<never, WebhookError> =>
  Effect.fail(
    new WebhookError({
      detail: "internal error",
      kind: "internal error",
      isTransient: false,
      retryAfterMs: undefined
    })
  )

/** At least as long as the webhook asks for, with a jitter of a tenth. */
const delayOf = (
  { isTransient, retryAfterMs = 0 }: WebhookError,
  failures: number
): Effect.Effect<number> =>
  Effect.map(Random.nextBetween(1, 1.1), (jitter) => {
    const backoff = isTransient
      ? Math.min(maxDelayMs, firstDelayMs * 2 ** failures)
      : rejectedDelayMs
    return Math.round(Math.max(backoff, Math.min(retryAfterMs, maxRetryAfterMs)) * jitter)
  })
