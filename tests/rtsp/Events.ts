/** Waits for events of `RtspServer`. */
import { Effect, PubSub } from "effect"
import type { ServerEvent } from "@restream/core/testing"

type Of<Tag extends ServerEvent["_tag"]> = Extract<ServerEvent, { readonly _tag: Tag }>

/** The next matching event; skips earlier events. */
export const next = Effect.fnUntraced(function* <Tag extends ServerEvent["_tag"]>(
  events: PubSub.Subscription<ServerEvent>,
  tag: Tag,
  fits: (event: Of<Tag>) => boolean = () => true
) {
  for (;;) {
    const event = yield* PubSub.take(events)
    if (event._tag === tag && fits(event as Of<Tag>)) return event as Of<Tag>
  }
})

/** The next request with a method. */
export const nextRequest = (events: PubSub.Subscription<ServerEvent>, method: string) =>
  next(events, "Request", (event) => event.method === method)
