/**
 * An engine: a way to probe a camera and to relay it.
 *
 * A camera's `engine` option names one, or `auto`. With `auto` the engines stand in order, and the next
 * one takes over where one meets something that it does not support.
 */
import type { EngineChoice } from "@restream/config"
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Context from "effect/Context"
import type { Prober } from "../probe/Prober.ts"
import type { Relay } from "../relay/Relay.ts"

export interface Engine {
  readonly name: Exclude<EngineChoice, "auto">
  readonly prober: Prober
  readonly relay: Relay
}

export class Engines extends Context.Service<
  Engines,
  {
    /** The engines for a choice, the one to try first in front. */
    readonly select: (choice: EngineChoice) => NonEmptyReadonlyArray<Engine>
  }
>()("@restream/core/engine/Engines") {}
