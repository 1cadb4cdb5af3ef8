/**
 * A media server to which cameras are published: its address and its health.
 *
 * One health check serves all cameras of the server. While the server is unreachable, its cameras wait and are not
 * probed.
 */
import type { Settings } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MediaPath } from "../camera/MediaPath.ts"
import { StreamUrl } from "../camera/StreamUrl.ts"
import { Incidents, suffixOf } from "../status/Incidents.ts"
import * as Deadline from "../time/Deadline.ts"
import { format, formatElapsed } from "../time/DurationText.ts"
import * as Monotonic from "../time/Monotonic.ts"
import * as Poller from "../time/Poller.ts"

/** The media server does not respond. */
export class MediaServerError extends Schema.TaggedError<MediaServerError>()("MediaServerError", {
  /** What happened, in one line without secrets. */
  detail: Schema.String,
  /** Errors of the same kind are the same problem, even with different details. Default: the detail. */
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

/** The address of a configured media server, with credentials and without a path. */
export const serverAddress = ({
  host,
  password,
  port,
  scheme,
  username
}: Settings["mediaServer"]): StreamUrl => new StreamUrl({ scheme, host, port, username, password })

/** The `host:port` of a media server, after its name if there are several. */
export const addressLabel = (name: string | undefined, authority: string): string =>
  name === undefined ? authority : `${name} (${authority})`

/** The address of a path on a configured media server. */
export const pathAddress = (server: Settings["mediaServer"]): ((path: MediaPath) => StreamUrl) => {
  const address = serverAddress(server)
  const text = server.query === undefined ? "" : Redacted.value(server.query).replace(/^\?/, "")
  // a request line must not contain spaces or control characters
  const query = text === "" ? "" : `?${text.replaceAll(/[^!-~]/gu, encodeURIComponent)}`
  return (path) => address.withTarget(`/${path}${query}`)
}

/** When the server is checked. */
export interface CheckTiming {
  /** The interval while the server is reachable. Default 5 s. While the server is unreachable: 1 s. */
  readonly checkInterval?: Duration.Input | undefined
  /** Timeout of one check. Default 2 s. */
  readonly checkTimeout?: Duration.Input | undefined
}

export interface MediaServerOptions {
  /** The name of the server, if there are several media servers. */
  readonly name?: string | undefined
  /** The server's address with its credentials, without a path. */
  readonly address: StreamUrl
  /** The address of a path. Default: the server's address with the path. */
  readonly destination?: ((path: MediaPath) => StreamUrl) | undefined
  /** Succeeds if the server responds. Interrupted at `checkTimeout`. */
  readonly check: Effect.Effect<void, MediaServerError>
  /** Read before each check and each interval, so that it follows the settings. */
  readonly timing?: Effect.Effect<CheckTiming> | undefined
}

const retryInterval = Duration.seconds(1)

export class MediaServer extends Context.Service<
  MediaServer,
  {
    /** The address of a path on the server, with its credentials. */
    readonly destination: (path: MediaPath) => StreamUrl
    /** Done at once while the media server is reachable, otherwise when it is reachable again. */
    readonly awaitUp: Effect.Effect<void>
    /** Checks now. Concurrent callers share one check. */
    readonly checkNow: Effect.Effect<boolean>
    /** Triggers a check, because the media server may be unreachable; does not wait for it. */
    readonly reportFailure: Effect.Effect<void>
    readonly status: Effect.Effect<MediaServerStatus>
  }
>()("@restream/core/media-server/MediaServer") {
  /** Starts the health check in the scope. Logs when the media server is unreachable, and reachable again. */
  static readonly make = Effect.fnUntraced(function* (
    options: MediaServerOptions
  ): Effect.fn.Return<MediaServer["Service"], never, Scope.Scope> {
    const timing = Effect.map(options.timing ?? Effect.succeed<CheckTiming>({}), (timing) => ({
      checkInterval: Duration.fromInputUnsafe(timing.checkInterval ?? "5 seconds"),
      checkTimeout: Duration.fromInputUnsafe(timing.checkTimeout ?? "2 seconds")
    }))
    const label = `media server ${addressLabel(options.name, options.address.authority)}`
    const up = yield* Latch.make(false)
    let status: MediaServerStatus = { _tag: "Unknown" }
    const incidents = new Incidents<string>()

    const poll = Effect.flatMap(timing, ({ checkTimeout }) =>
      Deadline.within(checkTimeout, () =>
        Effect.fail(new MediaServerError({ detail: `no response within ${format(checkTimeout)}` }))
      )(options.check)
    ).pipe(Effect.withSpan("MediaServer.check"))

    const onUp = Effect.gen(function* () {
      const now = yield* Clock.currentTimeMillis
      const before = status
      if (before._tag !== "Up") status = { _tag: "Up", since: now }
      // before logging: a logger that throws must not keep the cameras waiting
      yield* Latch.open(up)
      const notice = incidents.succeeded(label, yield* Monotonic.now)
      if (notice === "stable") yield* Effect.logInfo(`${label} is stable`)
      if (before._tag === "Up") return
      if (before._tag === "Unknown") yield* Effect.logInfo(`${label} is reachable`)
      else if (notice === "resolved") {
        const outage = formatElapsed(now - before.since)
        yield* Effect.logInfo(`${label} is reachable again after ${outage}`)
      }
    })

    const onDown = Effect.fnUntraced(function* ({ detail, kind = detail }: MediaServerError) {
      const now = yield* Clock.currentTimeMillis
      const before = status
      yield* Latch.close(up)
      status = { _tag: "Down", since: before._tag === "Down" ? before.since : now, detail }
      const notice = incidents.failed(label, kind, yield* Monotonic.now)
      if (notice === undefined) return
      yield* Effect.logError(
        `${label} is unreachable: ${detail}; cameras that are not live wait for it${suffixOf(notice)}`
      )
    })

    const poller = yield* Poller.make({
      poll,
      onResult: Exit.match({
        onSuccess: () => onUp,
        onFailure: (cause) => {
          const error = Exit.findErrorOption(Exit.failCause(cause))
          return onDown(error._tag === "Some" ? error.value : internalError)
        }
      }),
      interval: (exit) =>
        Exit.isSuccess(exit)
          ? Effect.map(timing, ({ checkInterval }) => checkInterval)
          : Effect.succeed(retryInterval)
    }).pipe(Effect.annotateLogs("module", "media-server"))

    return MediaServer.of({
      destination: options.destination ?? ((path) => options.address.withTarget(`/${path}`)),
      awaitUp: Latch.await(up),
      checkNow: Effect.isSuccess(poller.now),
      reportFailure: poller.invalidate,
      status: Effect.sync(() => status)
    })
  })
}

const internalError = new MediaServerError({ detail: "internal error in the health check" })
