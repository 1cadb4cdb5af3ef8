/** `restream alerts`: tries the webhooks that get alerts. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { failOnSettings } from "../process/Failure.ts"
import { loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { restream } from "./restream.ts"

const test = Command.make(
  "test",
  {
    name: Argument.String("name").pipe(
      Argument.withDescription("Name of a webhook; default: all"),
      Argument.optional
    )
  },
  Effect.fnUntraced(function* ({ name }) {
    const { settings } = yield* failOnSettings(loadSettings(settingFlagsOf(yield* restream)))
    const sender = yield* Effect.promise(() => import("../alerts/AlertSender.ts"))
    return yield* sender.test(settings, Option.getOrUndefined(name))
  })
).pipe(
  Command.withDescription(
    "Sends a test alert to the webhooks of alerts.webhooks, or to one of them. Exit status: 0 delivered, 1 not delivered to some of them, 2 no such webhook"
  ),
  Command.withShortDescription("Sends a test alert to the webhooks")
)

export const alerts = Command.make("alerts").pipe(
  Command.withDescription("Tries the webhooks that get alerts"),
  Command.withSubcommands([test])
)
