/** Sends alerts for the daemon, and once for `restream alerts test`. Loaded only if webhooks are set. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { displayWebhookUrl, type Settings } from "@restream/config"
import { HostResolver, LiveSettings } from "@restream/core"
import { Alerts, testAlert, WebhookClient } from "@restream/core/alerts"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"

/** Resolves names as for cameras: a name server that does not respond must not block the threads of the process. */
const transport = Layer.unwrap(
  Effect.map(HostResolver.HostResolver, (resolver) =>
    NodeHttpClient.layerNodeHttpOptions({ lookup: HostResolver.nodeLookup(resolver) })
  )
)

/** Starts the delivery of alerts in the scope. */
export const start = Effect.fnUntraced(function* (
  settings: SubscriptionRef.SubscriptionRef<Settings>
) {
  const client = yield* Layer.build(transport)
  yield* Alerts.start.pipe(
    Effect.provideService(LiveSettings, settings),
    Effect.provideContext(client)
  )
})

/** Sends a test alert to every webhook, or to the webhook with the name, and prints the result. */
export const test = Effect.fnUntraced(function* (
  { alerts: { webhooks } }: Settings,
  name: string | undefined
) {
  const chosen = webhooks.filter((webhook) => name === undefined || webhook.name === name)
  if (webhooks.length === 0) {
    return yield* usageFailure(["no webhook is set; add one to alerts.webhooks"])
  }
  if (chosen.length === 0) {
    const names = webhooks.map((webhook) => webhook.name).join(", ")
    return yield* usageFailure([`no webhook has the name ${name}; there are ${names}`])
  }
  const now = yield* Clock.currentTimeMillis
  const alert = testAlert(`test-${now}`, now)
  const problems = yield* Effect.forEach(
    chosen,
    (webhook) =>
      WebhookClient.send(webhook, { alerts: [alert], id: alert.id }).pipe(
        Effect.matchEffect({
          onSuccess: (answer) => Effect.as(print(`${webhook.name}: delivered (${answer})`), []),
          onFailure: ({ detail }) =>
            Effect.succeed([`${webhook.name} (${displayWebhookUrl(webhook.url)}): ${detail}`])
        })
      ),
    { concurrency: 4 }
  )
  const lines = problems.flat()
  if (lines.length > 0) return yield* new Failure({ status: exitStatus.problems, lines })
}, Effect.provide(transport))
