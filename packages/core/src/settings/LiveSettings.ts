/**
 * The settings in force.
 *
 * A policy is read where an attempt begins, so a change applies to the next attempt and to no running one.
 * The daemon sets the reference on SIGHUP; a program that embeds restream passes plain settings, or a
 * reference of its own.
 */
import type { Settings } from "@restream/config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"

export class LiveSettings extends Context.Service<
  LiveSettings,
  SubscriptionRef.SubscriptionRef<Settings>
>()("@restream/core/settings/LiveSettings") {
  /** Settings that never change, or a reference that the program sets. */
  static readonly layer = (
    settings: Settings | SubscriptionRef.SubscriptionRef<Settings>
  ): Layer.Layer<LiveSettings> =>
    Layer.effect(
      LiveSettings,
      isReference(settings) ? Effect.succeed(settings) : SubscriptionRef.make(settings)
    )
}

const isReference = (
  settings: Settings | SubscriptionRef.SubscriptionRef<Settings>
): settings is SubscriptionRef.SubscriptionRef<Settings> =>
  SubscriptionRef.isSubscriptionRef(settings)
