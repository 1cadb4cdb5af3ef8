/**
 * A worker's side of the channel to its parent.
 *
 * The channel also shows a worker that its parent has ended: the system closes it in every case.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Reporter } from "../systemd/Systemd.ts"
import type { StatusView } from "../systemd/StatusLine.ts"

/** A message from the parent to a worker. */
export type Order = "stop" | "reload" | "ping"

/** A message from a worker to its parent. */
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
  /** Called when the parent requests a shutdown, or has ended. */
  readonly onStop: () => void
  readonly onReload: () => void
}

/** Connects to the parent; `undefined` if this process is not a worker. */
export const connect = ({ onReload, onStop }: ParentOptions): Parent | undefined => {
  if (process.send === undefined) return undefined
  const pings = Effect.runSync(Queue.sliding<void>(1))
  const isGone = () => !process.connected
  const send = (report: Report) => {
    // errors are ignored: the end of the parent closes the channel
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
