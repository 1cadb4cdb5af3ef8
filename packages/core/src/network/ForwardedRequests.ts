/** What all requests need that are forwarded to another server, such as the HLS server or another node. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"

/** A client that follows no redirects: they would lead to servers that nobody configured. */
export const withoutRedirects: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer.pipe(
  Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
)

export interface SlotOptions<E> {
  /** How many requests run at a time. */
  readonly most: number
  /** How long a request runs at most, whether or not its client reads the response. */
  readonly longest: Duration.Input
  /** The failure of a request beyond `most`. */
  readonly onFull: Effect.Effect<never, E>
}

/**
 * Limits requests in number and time.
 *
 * @returns gives the scope of a request: it closes with the scope of the caller, or after `longest`.
 */
export const makeSlots = <E>({
  longest,
  most,
  onFull
}: SlotOptions<E>): Effect.Effect<Scope.Closeable, E, Scope.Scope> => {
  let requests = 0
  return Effect.gen(function* () {
    if (requests >= most) return yield* onFull
    const slot = yield* Effect.acquireRelease(Scope.make(), Scope.close)
    requests++
    yield* Scope.addFinalizer(
      slot,
      Effect.sync(() => void requests--)
    )
    yield* Effect.forkScoped(Effect.andThen(Effect.sleep(longest), Scope.close(slot, Exit.void)))
    return slot
  })
}
