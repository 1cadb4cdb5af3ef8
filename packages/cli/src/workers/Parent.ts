/**
 * A worker's side of the channel to its parent.
 *
 * The channel is also how a worker learns that its parent is gone: the system closes it, however the parent ends.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Reporter } from "../systemd/Systemd.ts"
import type { StatusView } from "../systemd/StatusLine.ts"

/** What a parent tells a worker. */
export type Order = "stop" | "reload" | "ping"

/** What a worker tells its parent. */
export type Report =
  | { readonly _tag: "Joined" }
  | { readonly _tag: "Ready" }
  | { readonly _tag: "Status"; readonly view: StatusView }
  /** The answer to a ping. */
  | { readonly _tag: "Heartbeat" }
  | { readonly _tag: "Reloaded" }

export interface Parent {
  readonly reporter: Reporter
  /** Reports that this worker has joined the cluster. */
  readonly joined: () => void
  /** Whether the parent has ended. */
  readonly isGone: () => boolean
}

export interface ParentOptions {
  /** The parent asks for the end, or is gone. */
  readonly onStop: () => void
  readonly onReload: () => void
}

/** Connects to the parent; `undefined` where this process was not started by one. */
export const connect = ({ onReload, onStop }: ParentOptions): Parent | undefined => {
  if (process.send === undefined) return undefined
  const pings = Effect.runSync(Queue.sliding<void>(1))
  const isGone = () => !process.connected
  const send = (report: Report) => {
    // a parent that has just ended is noticed by its channel
    if (!isGone()) process.send?.(report, () => {})
  }
  process.on("message", (order: Order) => {
    if (order === "stop") onStop()
    else if (order === "reload") onReload()
    else Queue.offerUnsafe(pings, undefined)
  })
  process.on("disconnect", onStop)
  if (isGone()) onStop()
  let sent: string | undefined
  return {
    isGone,
    joined: () => send({ _tag: "Joined" }),
    reporter: {
      ready: () => send({ _tag: "Ready" }),
      status: (view) => {
        const text = JSON.stringify(view)
        if (text !== sent) send({ _tag: "Status", view })
        sent = text
      },
      heartbeat: () => send({ _tag: "Heartbeat" }),
      awaitHeartbeat: Queue.take(pings),
      reloading: () => {},
      reloaded: () => send({ _tag: "Reloaded" }),
      stopping: () => {}
    }
  }
}
