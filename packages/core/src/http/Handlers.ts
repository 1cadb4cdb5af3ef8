/**
 * The handlers of the API. A program that embeds restream mounts them in its own router:
 *
 * ```ts
 * HttpRouter.serve(Handlers.layer({ settings, version: "1.0.0" })).pipe(
 *   Layer.provide(Restream.layer(settings)),
 *   Layer.provide(NodeHttpServer.layer(createServer, { port: 9995, host: "127.0.0.1" }))
 * )
 * ```
 *
 * The handlers do not authenticate requests: the daemon does that before the router.
 */
import { oneLine, redact } from "@restream/config"
import * as ByteSize from "effect/ByteSize"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SchemaIssue from "effect/SchemaIssue"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import type * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import type { CameraId } from "../camera/Camera.ts"
import { Ownership } from "../cluster/Ownership.ts"
import { format } from "../time/DurationText.ts"
import type { LiveOrFixedSettings } from "../Restream.ts"
import { type PictureProblem, Pictures } from "../picture/Pictures.ts"
import { Hls } from "../player/Hls.ts"
import type { PlayError } from "../player/PlayerServer.ts"
import { maxSdpBytes, Whep } from "../player/Whep.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { type CameraStatus, everyStream } from "../status/CameraStatus.ts"
import { tallyOf } from "../status/OperatorView.ts"
import { StatusStore } from "../status/StatusStore.ts"
import type { Command } from "../supervision/CameraActor.ts"
import { Supervisor } from "../supervision/Supervisor.ts"
import {
  Api,
  CameraInvalid,
  CameraNotFound,
  type CommandResult,
  InvalidRequest,
  NoPicture,
  NotHealthy,
  NotPlayable,
  RequestValidation,
  type Worker
} from "./Api.ts"
import { Board } from "./Board.ts"
import { ClusterBoard } from "./ClusterBoard.ts"
import { EventStreams } from "./EventStreams.ts"
import * as Forwarding from "./Forwarding.ts"
import { Peers } from "./Peers.ts"
import * as Views from "./Views.ts"

export interface HandlerOptions {
  /** The settings in force. */
  readonly settings: LiveOrFixedSettings
  /** The version of the program, for the overview. */
  readonly version: string
  /** The workers of this machine, for the overview. Default: there are none. */
  readonly workers?: ReadonlyArray<typeof Worker.Type> | undefined
}

const unknownCamera = (id: CameraId) =>
  Effect.fail(new CameraNotFound({ message: `no camera has the id ${JSON.stringify(id)}` }))

const cameras = HttpApiBuilder.group(
  Api,
  "cameras",
  Effect.fnUntraced(function* (handlers) {
    const board = yield* Board
    const store = yield* StatusStore
    const supervisor = yield* Supervisor
    const clusterBoard = yield* ClusterBoard

    const command = Effect.fnUntraced(function* (
      id: CameraId,
      name: "retry" | "restart",
      command: Command
    ) {
      const status = yield* store.get(id)
      if (status === undefined) return yield* unknownCamera(id)
      if (!(yield* supervisor.send(id, command))) {
        return yield* new CameraInvalid({
          message: `camera ${id} is ${status.word === "invalid" ? "invalid: correct its row" : "not running"}`
        })
      }
      return {
        id,
        command: name,
        message: messageOf(name, everyStream([status]))
      } satisfies CommandResult
    })

    const pictures = yield* Pictures

    const picture = Effect.fnUntraced(function* (id: CameraId, maxAge: number) {
      const status = yield* store.get(id)
      if (status === undefined) return yield* unknownCamera(id)
      const picture = yield* Effect.mapError(
        pictures.get(id, Duration.seconds(maxAge)),
        (problem) =>
          new NoPicture({ message: `no picture of camera ${id}: ${whyNoPicture(problem, status)}` })
      )
      return HttpServerResponse.uint8Array(picture.mp4, {
        contentType: "video/mp4",
        headers: { "x-picture-time": String(picture.at) }
      })
    })

    const hls = yield* Hls
    const whep = yield* Whep
    /** The stream of a live camera. Fails if the camera is not live. */
    const liveStream = Effect.fnUntraced(function* (id: CameraId) {
      const status = yield* store.get(id)
      if (status === undefined) return yield* unknownCamera(id)
      if (status.path !== undefined && status.word === "ok") return status
      return yield* new NotPlayable({
        code: "NotLive",
        message: `the camera is not live: ${whyNotLive(status)}`
      })
    })
    /** The stream of a camera, even if its relay has ended. */
    const streamOf = Effect.fnUntraced(function* (id: CameraId) {
      const status = yield* store.get(id)
      return status?.path === undefined ? yield* unknownCamera(id) : status
    })

    return handlers
      .handleRaw("play", ({ params, request }) =>
        Effect.gen(function* () {
          const offer = yield* bodyOf(request, "application/sdp")
          if (typeof offer !== "string") return offer
          const { answer, id } = yield* whep.open(yield* liveStream(params.id), offer)
          return HttpServerResponse.text(answer, {
            status: 201,
            contentType: "application/sdp",
            // relative, because a proxy may have changed the URL of the request
            headers: { location: `whep/${id}` }
          })
        }).pipe(Effect.catchTag("PlayError", toNotPlayable))
      )
      .handleRaw("addCandidates", ({ params: { id, session }, request }) =>
        Effect.gen(function* () {
          const fragment = yield* bodyOf(request, "application/trickle-ice-sdpfrag")
          if (typeof fragment !== "string") return fragment
          yield* whep.patch(yield* streamOf(id), session, fragment)
          return HttpServerResponse.empty({ status: 204 })
        }).pipe(Effect.catchTag("PlayError", toNotPlayable))
      )
      .handle("stopPlaying", ({ params: { id, session } }) =>
        Effect.flatMap(streamOf(id), (stream) => whep.close(stream, session)).pipe(
          Effect.catchTag("PlayError", toNotPlayable)
        )
      )
      .handleRaw("hls", ({ params: { file, id }, query }) =>
        Effect.gen(function* () {
          const { body, contentType } = yield* hls.open(yield* liveStream(id), file, query)
          return HttpServerResponse.stream(body, { contentType })
        }).pipe(Effect.catchTag("PlayError", toNotPlayable))
      )
      .handleRaw("picture", ({ params, query }) => picture(params.id, query.maxAge ?? 10))
      .handleAll({
        list: Effect.fnUntraced(function* ({ query }) {
          const shown = query.scope === "node" ? board : clusterBoard
          yield* shown.ready
          const all = yield* shown.cameras
          const { page, total } = Views.select(all, query)
          const bitrates = query.history === "true" ? yield* shown.bitrates(page) : undefined
          return {
            boot: shown.boot,
            revision: yield* shown.revision,
            total,
            tally: tallyOf(all),
            cameras:
              bitrates === undefined
                ? page
                : page.map((camera) => ({ ...camera, bitrates: bitrates.get(camera.id) ?? [] }))
          }
        }),
        get: Effect.fnUntraced(function* ({ params }) {
          return (yield* board.camera(params.id)) ?? (yield* unknownCamera(params.id))
        }),
        retry: ({ params }) => command(params.id, "retry", "RetryNow"),
        restart: ({ params }) => command(params.id, "restart", "Restart")
      })
  })
)

const toNotPlayable = ({ code, message }: PlayError) =>
  Effect.fail(new NotPlayable({ code, message }))

/** The text of the body, or the error response for an unacceptable body. */
const bodyOf = (request: HttpServerRequest.HttpServerRequest, contentType: string) =>
  (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() === contentType
    ? request.text.pipe(
        Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(maxSdpBytes)),
        Effect.orElseSucceed(() => refuse(413, `the body exceeds ${maxSdpBytes} bytes`))
      )
    : Effect.succeed(refuse(415, `the content type must be ${contentType}`))

const refuse = (status: number, message: string) =>
  HttpServerResponse.jsonUnsafe({ message }, { status })

const whyNotLive = ({ problem, reason }: CameraStatus): string =>
  redact(problem ?? reason?.message ?? "it is being started")

const whyNoPicture = (problem: PictureProblem, status: CameraStatus): string => {
  const { engine, offer } = status
  switch (problem) {
    case "NotLive":
      return `the camera is not live: ${whyNotLive(status)}`
    case "NoKeyframes":
      return engine === "native"
        ? `pictures are taken of H.264 and H.265 only, and the camera sends ${offer?.video.codec ?? "another codec"}`
        : `the camera is relayed by ${engine ?? "another engine"}, and pictures are taken by the native engine only`
    case "TimedOut":
      return "the camera sent no keyframe within 12 s"
    case "Unreadable":
      return "the parameter sets of the keyframe are invalid"
  }
}

const messageOf = (
  name: "retry" | "restart",
  streams: ReadonlyArray<Pick<CameraStatus, "reason" | "state" | "word">>
): string => {
  if (streams.some(({ reason }) => reason?._tag === "Unauthorized")) {
    return "one login is tried now; the camera may lock the account after several wrong passwords"
  }
  if (name === "restart") {
    return streams.some(({ state }) => state._tag === "Live" || state._tag === "Starting")
      ? "the relay is restarted"
      : "the camera has no relay to restart; it is tried now"
  }
  return streams.every(({ word }) => word === "ok")
    ? "the camera is live; nothing to retry"
    : "the camera is tried now"
}

const status = HttpApiBuilder.group(
  Api,
  "status",
  Effect.fnUntraced(function* (handlers) {
    const board = yield* Board
    const clusterBoard = yield* ClusterBoard
    const streams = yield* EventStreams
    return handlers
      .handle("overview", ({ query }) =>
        query.scope === "node"
          ? board.overview
          : Effect.andThen(clusterBoard.ready, clusterBoard.overview)
      )
      .handleRaw(
        "events",
        Effect.fnUntraced(function* ({ headers, query }) {
          const stream = yield* streams.open(headers["last-event-id"], query.scope)
          return HttpServerResponse.stream(stream, {
            contentType: "text/event-stream",
            // a proxy that compresses or buffers would delay events
            headers: { "cache-control": "no-store, no-transform", "x-accel-buffering": "no" }
          })
        })
      )
  })
)

const heartbeatTimeout = Duration.seconds(5)

const health = HttpApiBuilder.group(
  Api,
  "health",
  Effect.fnUntraced(function* (handlers) {
    const supervisor = yield* Supervisor
    const ownership = yield* Ownership
    const isDone = (effect: Effect.Effect<void>, within: Duration.Duration) =>
      Effect.map(Effect.timeoutOption(effect, within), Option.isSome)
    return handlers.handleAll({
      live: Effect.fnUntraced(function* () {
        if (yield* isDone(supervisor.heartbeat, heartbeatTimeout)) {
          return { isOk: true, message: "the supervisor responds" }
        }
        return yield* new NotHealthy({
          message: `the supervisor did not respond within ${format(heartbeatTimeout)}`
        })
      }),
      ready: Effect.fnUntraced(function* () {
        if (!(yield* isDone(supervisor.ready, Duration.millis(50)))) {
          return yield* new NotHealthy({ message: "the camera list was not read yet" })
        }
        const { activeDaemon, membership } = ownership
        const { hasJoined, problem } = membership?.() ?? { hasJoined: true }
        if (!hasJoined && (yield* activeDaemon) === undefined) {
          return yield* new NotHealthy({
            message: problem?.message ?? "this node has not joined the cluster yet"
          })
        }
        return { isOk: true, message: "the camera list was applied" }
      })
    })
  })
)

const parameterKinds: Readonly<Record<string, string>> = {
  Params: "path parameter",
  Query: "query parameter",
  Headers: "header"
}

/** An invalid parameter is the client's mistake; a response that cannot be encoded is ours. */
const validation = HttpApiMiddleware.layerSchemaErrorTransform(RequestValidation, (error) => {
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  const { issues } = SchemaIssue.makeFormatterStandardSchemaV1()(error.cause.issue)
  const kind = parameterKinds[error.kind] ?? "body"
  const messages = issues.map(({ message, path = [] }) => {
    const name = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".")
    return `${name === "" ? kind : `${kind} ${name}`}: ${message}`
  })
  return Effect.fail(new InvalidRequest({ message: oneLine(messages.join("; ")).slice(0, 500) }))
})

/** The routes of the API and `/openapi.json`. */
export const routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
  Layer.provide([cameras, status, health]),
  Layer.provide([validation, Forwarding.layer])
)

/** The services behind {@link routes}, in the layer's scope. */
export const services = ({ settings, version, workers }: HandlerOptions) =>
  EventStreams.layer.pipe(
    Layer.provideMerge(ClusterBoard.layer),
    Layer.provideMerge([Board.layer(version, workers), Peers.layer]),
    Layer.merge(Pictures.layer),
    Layer.merge(Hls.layer),
    Layer.merge(Whep.layer),
    Layer.provide(LiveSettings.layer(settings))
  )

/** The routes with their services, for your own router. */
export const layer = (options: HandlerOptions) => routes.pipe(Layer.provideMerge(services(options)))
