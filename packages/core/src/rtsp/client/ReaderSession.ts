/**
 * A session that reads from a camera: DESCRIBE, SETUP, PLAY, and TEARDOWN at the end.
 *
 * ```ts
 * const session = yield* ReaderSession.open({ url })
 * yield* session.setup(session.description.medias)
 * yield* session.play({ frames: (bytes, start, end, reused) => … })
 * yield* session.closed
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { fullStatuses, ProtocolError, Unsupported } from "../../camera/Reason.ts"
import type { StreamUrl } from "../../camera/StreamUrl.ts"
import * as Deadline from "../../time/Deadline.ts"
import { baseUrl, type BaseUrlInput, controlUrl } from "../url/BaseUrl.ts"
import { trackByChannel } from "../interleaved/ChannelMap.ts"
import { header, headerValues, type Headers, type Response } from "../message/Message.ts"
import { type Method, parsePublic } from "../message/Method.ts"
import * as Sdp from "../sdp/Sdp.ts"
import * as SessionHeader from "../message/SessionHeader.ts"
import * as Transport from "../message/Transport.ts"
import {
  type Connection,
  type FrameHandler,
  isSuccess,
  make,
  endpointOf,
  type RequestOptions
} from "./Connection.ts"
import { follow, maxRedirects, type Redirected, refusesBasic } from "./Redirect.ts"
import { type RtspReason, RtspError } from "./RtspError.ts"
import {
  defaultOpenTimeout,
  defaultTeardownTimeout,
  type SessionOptions
} from "./SessionOptions.ts"

export interface ReaderSessionOptions extends SessionOptions {
  /**
   * A session that the camera may still keep. If the camera refuses a new session, the kept session is ended by
   * TEARDOWN on the new connection, and the refused request is sent again.
   */
  readonly kept?: LeftSession | undefined
}

/** A session whose connection ended without a response to TEARDOWN. */
export interface LeftSession {
  readonly id: string
  /** The URL of its requests, without user-info. */
  readonly uri: string
  readonly timeoutSeconds: number
}

/** A track to set up; a media of the session's description is one. */
export interface TrackRequest {
  readonly kind: string
  /** The control attribute; `undefined` if the description has none. */
  readonly control: string | undefined
}

/** A track that is set up. */
export interface SetupTrack<Track extends TrackRequest = TrackRequest> {
  readonly track: Track
  /** The channels that the camera sends on. */
  readonly channels: Transport.Pair
}

/** The longest interval between keep-alives. */
const longestKeepAlive = Duration.seconds(25)

/** The longest timeout of a keep-alive. */
const longestAnswer = Duration.seconds(5)

const isFree = (pair: Transport.Pair, taken: ReadonlyArray<SetupTrack>): boolean =>
  !taken.some(({ channels }) => channels.some((channel) => pair.includes(channel)))

/** The first two free channels, starting at the default pair of the next track. */
const freePair = (taken: ReadonlyArray<SetupTrack>): Transport.Pair => {
  let first = 2 * taken.length
  while (!isFree([first, first + 1], taken)) first += 2
  return [first, first + 1]
}

const fail = (reason: RtspReason) => Effect.fail(new RtspError({ reason }))

/** The description of a camera, and the session, opened by {@link open}. */
export class ReaderSession {
  readonly connection: Connection
  /** The URL of the camera, after redirects. */
  readonly url: StreamUrl
  /** The camera's description. */
  readonly description: Sdp.SessionDescription
  readonly #baseUrlInput: BaseUrlInput
  readonly #teardownTimeout: Duration.Input
  /** For DESCRIBE, SETUP and PLAY together. Time between the requests does not count. */
  readonly #deadline: Deadline.Deadline
  readonly #scope: Scope.Scope
  readonly #kept: LeftSession | undefined
  /** The methods of the camera; `undefined` before they are known. */
  #publicMethods: ReadonlySet<string> | undefined
  #session: SessionHeader.SessionHeader | undefined
  #tracks: ReadonlyArray<SetupTrack> = []
  #isSetUp = false
  #isTornDown = false
  /**
   * One request at a time: some cameras lose the second request, and each request may use up the nonce of the
   * other.
   */
  readonly #oneAtATime = Semaphore.makeUnsafe(1)

  constructor(fields: {
    readonly connection: Connection
    readonly url: StreamUrl
    readonly description: Sdp.SessionDescription
    readonly baseUrlInput: BaseUrlInput
    readonly teardownTimeout: Duration.Input | undefined
    readonly deadline: Deadline.Deadline
    readonly scope: Scope.Scope
    readonly kept: LeftSession | undefined
  }) {
    this.connection = fields.connection
    this.url = fields.url
    this.description = fields.description
    this.#baseUrlInput = fields.baseUrlInput
    this.#teardownTimeout = fields.teardownTimeout ?? defaultTeardownTimeout
    this.#deadline = fields.deadline
    this.#scope = fields.scope
    this.#kept = fields.kept
  }

  /** The URL in every request of the session. */
  get #baseUrl(): string {
    return baseUrl(this.#baseUrlInput)
  }

  /** Fails with the reason when the connection closes. Never succeeds. */
  get closed(): Effect.Effect<never, RtspError> {
    return this.connection.closed
  }

  /** The tracks that are set up, in the requested order. */
  get tracks(): ReadonlyArray<SetupTrack> {
    return this.#tracks
  }

  /** The track slots of {@link tracks} by channel, see `ChannelMap`. */
  get trackByChannel(): Uint8Array {
    return trackByChannel(this.#tracks.map(({ channels }) => channels))
  }

  #exchange(options: RequestOptions): Effect.Effect<Response, RtspError> {
    return this.#oneAtATime.withPermit(this.connection.exchange(options))
  }

  get #headers(): Headers {
    return this.#session === undefined ? [] : [["Session", this.#session.id]]
  }

  /**
   * Sets up tracks, one after another, and returns the channels that the camera chose. Fails with `Unsupported`
   * if the camera offers UDP only. Leaves out audio that the camera rejects after another track.
   */
  setup<Track extends TrackRequest>(
    tracks: ReadonlyArray<Track>
  ): Effect.Effect<ReadonlyArray<SetupTrack<Track>>, RtspError> {
    return Effect.gen({ self: this }, function* () {
      const done: Array<SetupTrack<Track>> = []
      yield* Scope.addFinalizer(this.#scope, this.teardown)
      for (const track of tracks) {
        const asked = freePair(done)
        const uri = controlUrl(this.#baseUrl, track.control)
        this.#isSetUp = true
        const exchange = this.#exchange({
          method: "SETUP",
          uri,
          headers: [
            ...this.#headers,
            ["Transport", Transport.render(Transport.interleaved(asked))]
          ],
          deadline: this.#deadline
        })
        const response = yield* done.length === 0
          ? afterKept(this.connection, exchange, this.#kept, this.#deadline)
          : exchange
        if (response.status === 461) {
          return yield* fail(new Unsupported({ what: "camera offers UDP only" }))
        }
        if (!isSuccess(response)) {
          if (track.kind === "audio" && done.length > 0) continue
          return yield* this.connection.refusal("SETUP", response)
        }
        this.#session ??= SessionHeader.parse(header(response, "session") ?? "")
        const chosen = Transport.chosenChannels(header(response, "transport"), asked)
        if (Result.isFailure(chosen)) {
          return yield* fail(new Unsupported({ what: chosen.failure.detail }))
        }
        // a camera that names a channel twice sends on the requested channels
        const channels = isFree(chosen.success, done) ? chosen.success : asked
        done.push({ track, channels })
      }
      this.#tracks = done
      return done
    })
  }

  /**
   * Starts the stream. The handler receives frames even before the response, because cameras do not wait, and
   * frames on channels without a track; see {@link trackByChannel}.
   */
  play(handler: FrameHandler): Effect.Effect<void, RtspError> {
    return Effect.gen({ self: this }, function* () {
      this.connection.setFrameHandler(handler)
      const ask = (range: Headers) =>
        this.#exchange({
          method: "PLAY",
          uri: this.#baseUrl,
          headers: [...this.#headers, ...range],
          deadline: this.#deadline
        })
      // some cameras require a range, others reject it
      let response = yield* ask([["Range", "npt=0.000-"]])
      if (response.status === 457) response = yield* ask([])
      if (!isSuccess(response)) {
        this.connection.setFrameHandler(undefined)
        return yield* this.connection.refusal("PLAY", response)
      }
    })
  }

  /** The interval for {@link keepAlive}: half the session timeout, at most 25 s. */
  get keepAliveInterval(): Duration.Duration {
    const seconds = this.#session?.timeoutSeconds ?? SessionHeader.defaultTimeoutSeconds
    return Duration.min(Duration.seconds(seconds / 2), longestKeepAlive)
  }

  /**
   * Sends a keep-alive: GET_PARAMETER if the camera supports it, otherwise OPTIONS. The first keep-alive is
   * OPTIONS, which returns the supported methods. Some cameras accept only GET_PARAMETER as a keep-alive, so send
   * the first one as soon as the stream plays. Never fails: a camera without a response may still send media.
   */
  get keepAlive(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const isKnown = this.#publicMethods?.has("GET_PARAMETER") ?? false
      const method: Method = isKnown ? "GET_PARAMETER" : "OPTIONS"
      return this.#exchange({
        method,
        uri: this.#baseUrl,
        headers: this.#headers,
        // a longer timeout would delay the next keep-alive
        timeout: Duration.min(this.keepAliveInterval, longestAnswer)
      }).pipe(
        Effect.map((response) => {
          // the camera does not support a method that it lists
          if (response.status === 405 || response.status === 501) this.#publicMethods = new Set()
          this.#publicMethods ??= parsePublic(headerValues(response, "public"))
        }),
        Effect.ignore
      )
    })
  }

  /** Ends the session and waits briefly for the response. Never fails. */
  get teardown(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.#isSetUp || this.connection.isClosed) return Effect.void
      this.#isSetUp = false
      this.connection.setFrameHandler(undefined)
      // not queued behind other requests; the response follows the frames that are still buffered
      this.connection.resume()
      return this.connection
        .exchange({
          method: "TEARDOWN",
          uri: this.#baseUrl,
          headers: this.#headers,
          timeout: this.#teardownTimeout
        })
        .pipe(
          Effect.map((response) => {
            this.#isTornDown = isSuccess(response)
          }),
          Effect.ignore
        )
    })
  }

  /** The session that the camera may keep; `undefined` if it responded to TEARDOWN. */
  get left(): LeftSession | undefined {
    if (this.#session === undefined || this.#isTornDown) return undefined
    const { id, timeoutSeconds = SessionHeader.defaultTimeoutSeconds } = this.#session
    return { id, timeoutSeconds, uri: this.#baseUrl }
  }
}

/** Sends a request; if the device has no free session, ends the kept session and sends the request again. */
const afterKept = (
  connection: Connection,
  request: Effect.Effect<Response, RtspError>,
  kept: LeftSession | undefined,
  deadline: Deadline.Deadline
): Effect.Effect<Response, RtspError> =>
  kept === undefined
    ? request
    : Effect.filterOrElse(
        request,
        ({ status }) => !fullStatuses.has(status),
        (refused) =>
          Effect.matchEffect(
            connection.exchange({
              method: "TEARDOWN",
              uri: kept.uri,
              headers: [["Session", kept.id]],
              deadline
            }),
            {
              onSuccess: (response) => (isSuccess(response) ? request : Effect.succeed(refused)),
              onFailure: () => Effect.succeed(refused)
            }
          )
      )

interface Described {
  readonly connection: Connection
  readonly url: StreamUrl
  /** The requested URL, without user-info. */
  readonly uri: string
  readonly response: Response
}

/** Whether the status is final: 400 and 455 may mean that the camera requires OPTIONS first. */
const isFinal = ({ status }: Response): boolean => status !== 400 && status !== 455

const describe = (
  connection: Connection,
  uri: string,
  deadline: Deadline.Deadline,
  kept: LeftSession | undefined
): Effect.Effect<Response, RtspError> => {
  const headers: Headers = [["Accept", "application/sdp"]]
  const ask = connection.exchange({ method: "DESCRIBE", uri, headers, deadline })
  const described = Effect.filterOrElse(ask, isFinal, () =>
    // the status of OPTIONS does not matter: 404 is common
    Effect.andThen(connection.exchange({ method: "OPTIONS", uri, deadline }), ask)
  )
  return afterKept(connection, described, kept, deadline)
}

const isRedirect = ({ status }: Response): boolean =>
  status >= 301 && status <= 308 && status !== 304

/** Follows redirects and closes all connections but the last. */
const describeWithRedirects = (
  options: ReaderSessionOptions,
  target: Redirected,
  deadline: Deadline.Deadline,
  redirects = 0,
  secretsBefore: ReadonlyArray<string> = []
): Effect.Effect<Described, RtspError, Scope.Scope> => {
  // one device may repeat what another one sent in a redirect
  const { url } = target
  const secrets = [...secretsBefore, ...url.secrets]
  const peer = {
    ...endpointOf(url, options.trust),
    secrets,
    refusesBasic: refusesBasic(target, secrets)
  }
  return Effect.flatMap(make(peer, options, deadline), (connection) => {
    const uri = Redacted.value(url.withoutUserInfo)
    return Effect.flatMap(describe(connection, uri, deadline, options.kept), (response) => {
      if (!isRedirect(response)) return Effect.succeed({ connection, url, uri, response })
      connection.close()
      if (redirects === maxRedirects)
        return fail(new ProtocolError({ detail: "too many redirects" }))
      const next = follow(target, header(response, "location"), secrets)
      return Effect.flatMap(Effect.fromResult(next), (next) =>
        describeWithRedirects(options, next, deadline, redirects + 1, secrets)
      )
    })
  })
}

/** Parses the response to DESCRIBE. */
const readDescription = (
  { connection, response, uri, url }: Described,
  { kept, teardownTimeout }: ReaderSessionOptions,
  deadline: Deadline.Deadline,
  scope: Scope.Scope
): Effect.Effect<ReaderSession, RtspError> => {
  if (!isSuccess(response)) return Effect.fail(connection.refusal("DESCRIBE", response))
  // cameras send wrong content types, or none
  const { buffer, byteLength, byteOffset } = response.body
  const description = Sdp.parse(Buffer.from(buffer, byteOffset, byteLength).toString("utf8"))
  if (Result.isFailure(description)) {
    return fail(new ProtocolError({ detail: description.failure.detail }))
  }
  return Effect.succeed(
    new ReaderSession({
      connection,
      url,
      description: description.success,
      baseUrlInput: {
        requestUrl: uri,
        contentBase: header(response, "content-base"),
        contentLocation: header(response, "content-location"),
        sessionControl: description.success.control
      },
      teardownTimeout,
      deadline,
      scope,
      kept
    })
  )
}

/**
 * Connects to a camera and requests its description.
 *
 * The scope owns the session: closing the scope sends TEARDOWN if a track is set up, waits at most
 * `teardownTimeout` for the response, and closes the connection. Fails with `RtspError`; a wrong password
 * costs one login attempt.
 */
export const open = (
  options: ReaderSessionOptions
): Effect.Effect<ReaderSession, RtspError, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Deadline.use(options.openTimeout ?? defaultOpenTimeout, (deadline) =>
      Effect.flatMap(
        describeWithRedirects(
          options,
          { url: options.url, credentialsHost: options.url.host },
          deadline
        ),
        (described) => readDescription(described, options, deadline, scope)
      )
    )
  )
