/** A client and limits for requests that are forwarded to another server, such as the HLS server or another node. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import type * as HttpClient from "effect/http/HttpClient"

/** A client that follows no redirects, because they may lead to servers that are not configured. */
export const withoutRedirects: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer.pipe(
  Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" }))
)

export interface SlotOptions<E> {
  /** How many requests run at a time. */
  readonly most: number
  /** The longest time of a request, even if its client does not read the response. */
  readonly longest: Duration.Input
  /** The failure of a request beyond `most`. */
  readonly onFull: Effect.Effect<never, E>
}

/**
 * Limits requests in number and time.
 *
 * @returns an effect that gives the scope of one request, which closes with the caller's scope or after `longest`.
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
