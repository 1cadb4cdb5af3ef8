/**
 * The media server that all cameras go to: where it is, and whether it is there.
 *
 * One watch checks it for all. While it is away cameras wait, and nobody touches them.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MediaPath } from "../camera/MediaPath.ts"
import { StreamUrl } from "../camera/StreamUrl.ts"
import * as Deadline from "../time/Deadline.ts"
import * as Poller from "../time/Poller.ts"

/** The media server does not answer. */
export class MediaServerError extends Schema.TaggedError<MediaServerError>()("MediaServerError", {
  /** What happened, in one line without secrets. */
  detail: Schema.String,
  /** What is told once in an outage, whatever its words are. Default: the detail. */
  kind: Schema.optionalKey(Schema.String)
}) {
  override get message(): string {
    return this.detail
  }
}

export type MediaServerStatus =
  /** No check has ended yet. */
  | { readonly _tag: "Unknown" }
  | { readonly _tag: "Up"; readonly since: number }
  | { readonly _tag: "Down"; readonly since: number; readonly detail: string }

/** The two times are read anew for each check, so they may change meanwhile. */
export interface MediaServerOptions {
  /** The server's address with its credentials; the path is each camera's own. */
  readonly address: StreamUrl
  /** Succeeds where the server answers. Interrupted at `checkTimeout`. */
  readonly check: Effect.Effect<void, MediaServerError>
  /** The time between two checks while the server is there. Default 5 s; while it is away, 1 s. */
  readonly checkInterval?: Duration.Input | undefined
  /** Default 2 s. */
  readonly checkTimeout?: Duration.Input | undefined
}

const awayInterval = Duration.seconds(1)

export class MediaServer extends Context.Service<
  MediaServer,
  {
    /** The address of a path on the server, with its credentials. */
    readonly destination: (path: MediaPath) => StreamUrl
    /** Done at once while the server is there, else when it is back. */
    readonly awaitUp: Effect.Effect<void>
    /** Checks now. Many askers at once cost one check. */
    readonly checkNow: Effect.Effect<boolean>
    /** Says that the server may be away, so that it is checked now; does not wait for that. */
    readonly reportFailure: Effect.Effect<void>
    readonly status: Effect.Effect<MediaServerStatus>
  }
>()("@restream/core/media-server/MediaServer") {
  /** Starts the watch in the scope. It says once in which ways the server is away, and once that it is back. */
  static readonly make = Effect.fnUntraced(function* (
    options: MediaServerOptions
  ): Effect.fn.Return<MediaServer["Service"], never, Scope.Scope> {
    const checkInterval = () => Duration.fromInputUnsafe(options.checkInterval ?? "5 seconds")
    const checkTimeout = () => Duration.fromInputUnsafe(options.checkTimeout ?? "2 seconds")
    const label = `media server ${options.address.authority}`
    const up = yield* Latch.make(false)
    let status: MediaServerStatus = { _tag: "Unknown" }
    /** The kinds of failures that were told since the server was last there. */
    const told = new Set<string>()

    const look = Effect.suspend(() => {
      const time = checkTimeout()
      return Deadline.within(time, () =>
        Effect.fail(new MediaServerError({ detail: `no answer within ${Duration.format(time)}` }))
      )(options.check)
    })

    const onUp = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const before = status
      if (before._tag === "Up") return
      status = { _tag: "Up", since: now }
      told.clear()
      yield* before._tag === "Unknown"
        ? Effect.logInfo(`${label}: there`)
        : Effect.logInfo(`${label}: back after ${wholeSeconds(now - before.since)}`)
      yield* Latch.open(up)
    })

    const onDown = Effect.fnUntraced(function* ({ detail, kind = detail }: MediaServerError) {
      const now = yield* Clock.currentTimeMillis
      const before = status
      yield* Latch.close(up)
      status = { _tag: "Down", since: before._tag === "Down" ? before.since : now, detail }
      if (!told.has(kind)) {
        told.add(kind)
        yield* Effect.logError(`${label}: ${detail}; cameras that are not live wait for it`)
      }
    })

    const poller = yield* Poller.make({
      look,
      onLook: Exit.match({
        onSuccess: () => onUp,
        onFailure: (cause) => {
          const error = Exit.findErrorOption(Exit.failCause(cause))
          return onDown(error._tag === "Some" ? error.value : brokeDown)
        }
      }),
      pause: (exit) => (Exit.isSuccess(exit) ? checkInterval() : awayInterval)
    }).pipe(Effect.annotateLogs("module", "media-server"))

    return MediaServer.of({
      destination: (path) => options.address.withTarget(`/${path}`),
      awaitUp: Latch.await(up),
      checkNow: Effect.isSuccess(poller.now),
      reportFailure: poller.hint,
      status: Effect.sync(() => status)
    })
  })
}

const brokeDown = new MediaServerError({ detail: "the check itself broke down" })

/** Never "0", which would read as if nothing had been. */
const wholeSeconds = (millis: number): string =>
  Duration.format(Duration.seconds(Math.max(1, Math.round(millis / 1000))))
