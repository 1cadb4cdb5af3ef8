/**
 * A session that publishes to a media server: ANNOUNCE, SETUP per track, RECORD, and TEARDOWN at the end.
 *
 * The requests are those that MediaMTX requires (gortsplib, `server_session.go`): the URL does not end with a
 * slash, a track's URL is the URL, one slash and the control, SETUP has `mode=record`, and no frame precedes the
 * response to RECORD.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Unsupported } from "../../camera/Reason.ts"
import * as Deadline from "../../time/Deadline.ts"
import { withoutSlashes } from "../url/BaseUrl.ts"
import { header, type Headers } from "../message/Message.ts"
import * as SessionHeader from "../message/SessionHeader.ts"
import * as Transport from "../message/Transport.ts"
import * as Connection from "./Connection.ts"
import { RtspError, type RtspReason } from "./RtspError.ts"
import {
  defaultOpenTimeout,
  defaultTeardownTimeout,
  type SessionOptions
} from "./SessionOptions.ts"

/** The tracks to publish. */
export interface Announcement {
  /** The body of ANNOUNCE. */
  readonly sdp: string
  /** The control attributes of the tracks, in the order of the description. */
  readonly controls: ReadonlyArray<string>
}

export interface PublisherSessionOptions extends SessionOptions {
  readonly announcement: Announcement
}

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

/** A publishing session, opened by {@link open}. */
export interface PublisherSession {
  /** Frames are written to it on {@link channels}. Frames from the server are dropped. */
  readonly connection: Connection.Connection
  /** The URL in every request of the session. */
  readonly uri: string
  /** The channels for each track, in the order of the announcement. */
  readonly channels: ReadonlyArray<Transport.Pair>
  /** Fails when the connection closes: the server stopped, or another publisher replaced this one. */
  readonly closed: Effect.Effect<never, RtspError>
  /** Ends the session, once, and waits briefly for the response. Never fails. */
  readonly teardown: Effect.Effect<void>
}

/**
 * Connects to a media server and starts publishing. Frames may be written once this succeeds.
 *
 * The scope owns the session: closing the scope sends TEARDOWN, waits at most `teardownTimeout` for the
 * response, and closes the connection.
 */
export const open = Effect.fnUntraced(function* (
  options: PublisherSessionOptions
): Effect.fn.Return<PublisherSession, RtspError, Scope.Scope> {
  const { url } = options
  const deadline = yield* Deadline.make(options.openTimeout ?? defaultOpenTimeout)
  const connection = yield* Connection.make(
    Connection.endpointOf(url, options.trust),
    { ...options, answersRequests: false },
    deadline
  )
  const uri = withoutSlashes(Redacted.value(url.withoutUserInfo))
  let session: SessionHeader.SessionHeader | undefined
  let isTornDown = false
  const teardown = Effect.suspend(() => {
    if (session === undefined || isTornDown || connection.isClosed) return Effect.void
    isTornDown = true
    return connection
      .exchange({
        method: "TEARDOWN",
        uri,
        headers: sessionHeaders(session),
        timeout: options.teardownTimeout ?? defaultTeardownTimeout
      })
      .pipe(Effect.ignore)
  })
  yield* Effect.addFinalizer(() => teardown)

  // the response to ANNOUNCE carries no session id, the responses to SETUP do
  yield* connection.request({
    method: "ANNOUNCE",
    uri,
    headers: [["Content-Type", "application/sdp"]],
    body: Buffer.from(options.announcement.sdp, "utf8"),
    deadline
  })
  const channels: Array<Transport.Pair> = []
  for (const [track, control] of options.announcement.controls.entries()) {
    const asked: Transport.Pair = [2 * track, 2 * track + 1]
    const response = yield* connection.request({
      method: "SETUP",
      uri: `${uri}/${control}`,
      headers: [
        ["Transport", Transport.render(Transport.interleaved(asked, "record"))],
        ...sessionHeaders(session)
      ],
      deadline
    })
    session ??= SessionHeader.parse(header(response, "session") ?? "")
    const chosen = Transport.chosenChannels(header(response, "transport"), asked)
    if (Result.isFailure(chosen)) {
      return yield* fail(new Unsupported({ what: chosen.failure.detail }))
    }
    channels.push(chosen.success)
  }
  yield* connection.request({
    method: "RECORD",
    uri,
    headers: [...sessionHeaders(session), ["Range", "npt=0.000-"]],
    deadline
  })
  return { connection, uri, channels, closed: connection.closed, teardown }
})

const sessionHeaders = (session: SessionHeader.SessionHeader | undefined): Headers =>
  session === undefined ? [] : [["Session", session.id]]
