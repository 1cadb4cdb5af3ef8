/** The daemon of the same settings, over its HTTP API. */
import { bracketed, isWildcard, type Settings } from "@restream/config"
import { Api, type Overview, withToken } from "@restream/core/http"
import { type CameraId, Restream } from "@restream/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import { type Failure, usageFailure } from "../process/Failure.ts"
import * as WorkerSettings from "../workers/WorkerSettings.ts"

/** The URL of the daemon, as seen from this machine. */
const daemonUrl = ({ host, port }: Settings["http"]): string =>
  `http://${isWildcard(host) ? "127.0.0.1" : bracketed(host)}:${port}`

/** For the start of a response. A node waits 25 s for the picture of a camera of another node. */
const responseTimeout = "30 seconds"

/** A typed client of a daemon. */
const clientOf = Effect.fnUntraced(function* (http: Settings["http"]) {
  const baseUrl = daemonUrl(http)
  const httpClient = HttpClient.transformResponse(
    yield* HttpClient.HttpClient,
    Effect.timeout(responseTimeout)
  )
  const client = yield* HttpApiClient.makeWith(Api, {
    baseUrl,
    httpClient: withToken(httpClient, http.token)
  })
  return { client, baseUrl }
})

/** For one worker, so that a worker that hangs does not hide the others. */
const workerTimeout = "5 seconds"

/** The workers of this machine; none if the daemon is one process. */
export const workersOf = (settings: Settings): NonNullable<Overview["workers"]> =>
  WorkerSettings.countOf(settings) > 1 ? WorkerSettings.workersOf(settings) : []

/**
 * Connects to the daemon, or to the first of its workers that responds. Each node knows the cameras of all nodes.
 *
 * Fails if no worker responds. A daemon without workers is not checked.
 */
export const connect = Effect.fnUntraced(function* (
  settings: Settings,
  workers: ReturnType<typeof workersOf> = workersOf(settings)
) {
  if (workers.length === 0) return yield* clientOf(settings.http)
  const silent: Array<string> = []
  const problems: Array<string> = []
  for (const { name, port } of workers) {
    const daemon = yield* clientOf({ ...settings.http, port })
    const request = Effect.timeout(
      daemon.client.status.overview({ query: { scope: "node" } }),
      workerTimeout
    )
    const answer = yield* Effect.result(request)
    if (Result.isFailure(answer)) {
      const isSilent = Cause.isTimeoutError(answer.failure) || isAbsence(answer.failure)
      const problem = problemOf(answer.failure, daemon.baseUrl)
      if (isSilent) silent.push(problem)
      else problems.push(`worker ${name}: cannot be asked: ${problem}`)
      continue
    }
    const { node } = answer.success
    // without workers a node has the plain name
    if (node === name || node === Restream.nodeNameOf(settings)) return daemon
    problems.push(
      `worker ${name}: cannot be asked: ${node === undefined ? "a daemon that is not in the cluster" : `node ${node}`} listens on ${daemon.baseUrl}; stop it, or set another http.port`
    )
  }
  return yield* usageFailure(problems.length > 0 ? problems : silent.slice(0, 1))
})

export type Daemon = Effect.Success<ReturnType<typeof connect>>

/** The errors that concern one camera: unknown, without a relay, or on a node that does not respond. */
const cameraErrors = new Set(["CameraNotFound", "CameraInvalid", "NodeUnreachable"])

/**
 * Sends a request for each camera.
 *
 * @param ask runs for each camera in turn; its result is passed to `onAnswer`. @returns the problems of the cameras
 * without a result.
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
  const daemon = yield* connect(settings)
  const problems: Array<string> = []
  for (const id of ids) {
    yield* ask(daemon, id as CameraId).pipe(
      Effect.flatMap((answer) => onAnswer(answer, id)),
      Effect.catchIf(
        ({ _tag }) => cameraErrors.has(_tag),
        ({ message }) => Effect.sync(() => void problems.push(message))
      ),
      failOnDaemon(daemon.baseUrl)
    )
  }
  return problems
})

/** Whether no daemon listens. */
const isAbsence = (error: unknown): boolean =>
  HttpClientError.isHttpClientError(error) && error.response === undefined

export const transport = FetchHttpClient.layer

/** Fails with exit status 2 and a line of advice if the daemon does not respond as expected. */
export const failOnDaemon =
  (baseUrl: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, Failure, R> =>
    Effect.mapError(effect, (error) => usageFailure([problemOf(error, baseUrl)]))

const problemOf = (error: unknown, baseUrl: string): string => {
  if (Cause.isTimeoutError(error)) return `the daemon at ${baseUrl} does not respond`
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
