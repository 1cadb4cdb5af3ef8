/** The daemon of the same settings, over its HTTP API. */
import { bracketed, isLoopback, type Settings } from "@restream/config"
import { Api } from "@restream/core/http"
import { type CameraId, Restream } from "@restream/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import { type Failure, usageFailure } from "../process/Failure.ts"
import { printMessage } from "../process/Output.ts"
import * as WorkerSettings from "../workers/WorkerSettings.ts"

/** Where the daemon listens, as this machine reaches it. */
const daemonUrl = ({ host, port }: Settings["http"]): string => {
  const isWildcard = host === "0.0.0.0" || host === "::"
  return `http://${isWildcard || isLoopback(host) ? "127.0.0.1" : bracketed(host)}:${port}`
}

/** A typed client of the daemon. */
export const connect = Effect.fnUntraced(function* ({ http }: Settings) {
  const baseUrl = daemonUrl(http)
  const httpClient = yield* HttpClient.HttpClient
  const { token } = http
  const client = yield* HttpApiClient.makeWith(Api, {
    baseUrl,
    httpClient:
      token === undefined
        ? httpClient
        : HttpClient.mapRequest(httpClient, HttpClientRequest.bearerToken(Redacted.value(token)))
  })
  return { client, baseUrl }
})

/** For one worker, so that another one that hangs does not hide the rest. */
export const workerTimeout = "5 seconds"

/** One of the daemons that a command asks. */
export interface Daemon extends Effect.Success<ReturnType<typeof connect>> {
  /** The name of a worker; `undefined` without workers. */
  readonly name: string | undefined
}

/** The daemon, or its workers, each of which knows its own cameras. */
export const connectAll = Effect.fnUntraced(function* (settings: Settings) {
  const first = yield* connect(settings)
  const configured = WorkerSettings.countOf(settings) > 1 ? WorkerSettings.workersOf(settings) : []
  // the flag --workers is not among these settings
  const workers = yield* first.client.status.overview({ query: {} }).pipe(
    Effect.timeout(workerTimeout),
    // a single node has the plain name; any other may have the port of worker 1
    Effect.map(
      ({ node, workers }) => workers ?? (node === Restream.nodeNameOf(settings) ? [] : configured)
    ),
    Effect.orElseSucceed(() => configured)
  )
  if (workers.length === 0) return [{ ...first, name: undefined }]
  return yield* Effect.forEach(workers, ({ name, port }) =>
    Effect.map(connect({ ...settings, http: { ...settings.http, port } }), (daemon): Daemon => ({
      ...daemon,
      name
    }))
  )
})

/** Another daemon has the port of a worker. */
export class ForeignDaemon extends Data.TaggedError("ForeignDaemon")<{
  readonly message: string
}> {}

/** Fails if the daemon is not the worker that is meant. @param node the name that it says. */
export const identify = ({ baseUrl, name }: Daemon, node: string | undefined) =>
  name === undefined || name === node
    ? Effect.void
    : Effect.fail(
        new ForeignDaemon({
          message: `cannot be asked: ${node === undefined ? "a daemon that is not in the cluster" : `node ${node}`} listens on ${baseUrl}; stop it, or set another http.port`
        })
      )

/** Fails unless the worker that is meant responds. */
export const identifyWorker = Effect.fnUntraced(function* (daemon: Daemon) {
  if (daemon.name === undefined) return
  const { node } = yield* Effect.timeout(
    daemon.client.status.overview({ query: {} }),
    workerTimeout
  )
  yield* identify(daemon, node)
})

/** Why a worker does not say anything. */
export const workerProblem = (error: unknown, { baseUrl }: Daemon): string => {
  if (error instanceof ForeignDaemon) return error.message
  return HttpClientError.isHttpClientError(error) && error.response !== undefined
    ? `cannot be asked: ${problemOf(error, baseUrl)}`
    : notResponding
}

export const notResponding = "does not respond; the other nodes take over its cameras"

/** Asks the daemons one after the other, until one of them knows the camera. Prints which worker cannot be asked. */
export const askOwner = Effect.fnUntraced(function* <A, E extends { readonly _tag: string }, R>(
  daemons: ReadonlyArray<Daemon>,
  ask: (daemon: Daemon) => Effect.Effect<A, E, R>
) {
  const askOne = (daemon: Daemon) => Effect.andThen(identifyWorker(daemon), ask(daemon))
  const problems: Array<string> = []
  let failure: Effect.Error<ReturnType<typeof askOne>> | undefined
  for (const daemon of daemons) {
    const next = yield* Effect.result(askOne(daemon))
    if (Result.isSuccess(next)) return next.success
    const error = next.failure
    if (error._tag === "CameraNotFound") {
      failure = error
      continue
    }
    // a worker that is being restarted does not hide what the others say
    if (!isAbsence(error)) return yield* Effect.fail(error)
    failure ??= error
    if (daemon.name !== undefined) {
      problems.push(`worker ${daemon.name}: ${workerProblem(error, daemon)}`)
    }
  }
  yield* Effect.forEach(problems, printMessage, { discard: true })
  return yield* Effect.fail(failure!)
})

/** What a daemon answers about a camera that it does not have, or that has no relay. */
const ofCamera = new Set(["CameraNotFound", "CameraInvalid"])

/**
 * Asks for each camera the daemon that knows it.
 *
 * @param ask runs for one camera after the other; what it gives goes to `onAnswer`.
 * @returns why there is no answer about some of the cameras.
 */
export const askEach = Effect.fnUntraced(function* <
  A,
  E extends { readonly _tag: string; readonly message: string },
  R
>(
  settings: Settings,
  ids: ReadonlyArray<string>,
  ask: (daemon: Daemon, id: CameraId) => Effect.Effect<A, E, R>,
  onAnswer: (answer: A, id: string) => Effect.Effect<void>
) {
  const daemons = yield* connectAll(settings)
  const problems: Array<string> = []
  for (const id of ids) {
    yield* askOwner(daemons, (daemon) => ask(daemon, id as CameraId)).pipe(
      Effect.flatMap((answer) => onAnswer(answer, id)),
      Effect.catchIf(
        ({ _tag }) => ofCamera.has(_tag),
        ({ message }) => Effect.sync(() => void problems.push(message))
      ),
      failOnDaemon(daemons[0]!.baseUrl)
    )
  }
  return problems
})

/** Whether the daemon that was asked is not there, or is another one. */
const isAbsence = (error: { readonly _tag: string }): boolean =>
  HttpClientError.isHttpClientError(error) ||
  error._tag === "ForeignDaemon" ||
  error._tag === "TimeoutError"

export const transport = FetchHttpClient.layer

/** Exit status 2 with a line that says what to do, for a daemon that does not answer as one. */
export const failOnDaemon =
  (baseUrl: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Failure, R> =>
    Effect.mapError(effect, (error) => usageFailure([problemOf(error, baseUrl)]))

const problemOf = (error: unknown, baseUrl: string): string => {
  if (error instanceof ForeignDaemon) return "none of the workers can be asked"
  if (HttpClientError.isHttpClientError(error)) {
    const status = error.response?.status
    switch (status) {
      case undefined:
        return `no daemon listens on ${baseUrl}; check that restream run is running with the same http.host and http.port`
      case 401:
        return `the daemon at ${baseUrl} requires a token, or another one; set http.token as the daemon has it`
      case 429:
        return `the daemon at ${baseUrl} refuses further attempts for a minute after too many wrong tokens`
      default:
        return `unexpected response from ${baseUrl} (HTTP ${status}); check that restream of the same version runs there`
    }
  }
  return `unexpected response from ${baseUrl}; check that restream of the same version runs there`
}
