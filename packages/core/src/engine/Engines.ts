/** The registry of engines. */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { StreamSource } from "./CameraStream.ts"
import type { Engine } from "./Engine.ts"

/** The choice that tries every engine, in the order of registration. */
export const auto = "auto"

/** No engine has the name that a camera chose. */
export class UnknownEngine extends Schema.TaggedError<UnknownEngine>()("UnknownEngine", {
  choice: Schema.String,
  /** What a camera can choose. */
  known: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `unknown engine ${JSON.stringify(this.choice)}; known engines: ${this.known.join(", ")}`
  }
}

/**
 * The engines that cameras can choose with their `engine` option.
 *
 * ```ts
 * Engines.layer([NativeEngine.make({ checkServer }), myEngine])
 * ```
 */
export class Engines extends Context.Service<
  Engines,
  {
    /** What a camera can choose: `auto`, and the names of the engines. */
    readonly choices: ReadonlyArray<string>
    /**
     * The engines for a camera, the first to try in front. `auto` leaves out engines that do not support the
     * camera, unless none does.
     */
    readonly select: (
      source: StreamSource
    ) => Result.Result<Arr.NonEmptyReadonlyArray<Engine>, UnknownEngine>
  }
>()("@restream/core/engine/Engines") {
  /** A registry of these engines; `auto` tries them in this order. */
  static readonly make = (engines: Arr.NonEmptyReadonlyArray<Engine>): Engines["Service"] => {
    const choices = [auto, ...engines.map(({ name }) => name)]
    return {
      choices,
      select: (source) => {
        const choice = source.options.engine
        if (choice === auto) {
          const supporting = engines.filter((engine) => engine.supports?.(source) ?? true)
          return Result.succeed(Arr.isArrayNonEmpty(supporting) ? supporting : engines)
        }
        const engine = engines.find(({ name }) => name === choice)
        return engine === undefined
          ? Result.fail(new UnknownEngine({ choice, known: choices }))
          : Result.succeed([engine])
      }
    }
  }

  /** A registry of these engines; `auto` tries them in this order. */
  static readonly layer = (engines: Arr.NonEmptyReadonlyArray<Engine>): Layer.Layer<Engines> =>
    Layer.succeed(Engines, Engines.make(engines))
}
