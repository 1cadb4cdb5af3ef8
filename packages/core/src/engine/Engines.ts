/** The registry of engines. */
import * as Arr from "effect/Array"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { StreamUrl } from "../camera/StreamUrl.ts"
import { trustOf } from "../rtsp/client/Dialer.ts"
import type { StreamSource } from "./CameraStream.ts"
import type { Engine } from "./Engine.ts"

/** The choice that tries every engine, in the order of registration. */
const auto = "auto"

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

const isOnvif = ({ url }: StreamSource): boolean =>
  url.scheme === "onvif" || url.scheme === "onvifs"

/** The source as far as it is known before the ONVIF device names its stream. */
const asRtsp = (source: StreamSource): StreamSource => ({
  ...source,
  url: new StreamUrl({ scheme: "rtsp", host: source.url.host })
})

/** The time for the requests to a device, unless the camera has its own `openTimeout`. */
const onvifTimeout = Duration.seconds(10)

/**
 * An engine that requests the address from an ONVIF device, and opens the stream there. The limits and the schedule
 * of probes therefore hold for these requests. The address is kept until opening its stream fails, or the row
 * changes.
 */
const withOnvifAddress = (engine: Engine): Engine => {
  const known = new WeakMap<StreamUrl, StreamUrl>()
  const resolveAddress = Effect.fnUntraced(function* ({ options, url }: StreamSource) {
    const before = known.get(url)
    if (before !== undefined) return before
    // loaded by the first ONVIF camera
    const { streamUrl } = yield* Effect.promise(() => import("../onvif/OnvifDevice.ts"))
    const timeout = options.openTimeout ?? onvifTimeout
    const found = yield* streamUrl(url, { timeout, trust: trustOf(options) })
    known.set(url, found)
    return found
  })
  return {
    name: engine.name,
    slowAfter: engine.slowAfter,
    concurrency: engine.concurrency,
    open: (source) =>
      Effect.flatMap(resolveAddress(source), (url) =>
        Effect.tapError(engine.open({ ...source, url }), () =>
          Effect.sync(() => known.delete(source.url))
        )
      )
  }
}

/**
 * The engines that cameras can choose with their `engine` option.
 *
 * ```ts
 * Engines.layer([NativeEngine.make(), myEngine])
 * ```
 */
export class Engines extends Context.Service<
  Engines,
  {
    /** What a camera can choose: `auto`, and the names of the engines. */
    readonly choices: ReadonlyArray<string>
    /**
     * The engines for a camera, in the order of preference. `auto` leaves out engines that do not support the
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
    const withOnvif = new Map(engines.map((engine) => [engine, withOnvifAddress(engine)]))
    const select: Engines["Service"]["select"] = (source) => {
      if (!isOnvif(source)) return selectDirectly(source)
      return Result.map(selectDirectly(asRtsp(source)), (selected) =>
        Arr.map(selected, (engine) => withOnvif.get(engine) ?? engine)
      )
    }
    const selectDirectly: Engines["Service"]["select"] = (source) => {
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
    return { choices, select }
  }

  /** A registry of these engines; `auto` tries them in this order. */
  static readonly layer = (engines: Arr.NonEmptyReadonlyArray<Engine>): Layer.Layer<Engines> =>
    Layer.succeed(Engines, Engines.make(engines))
}
