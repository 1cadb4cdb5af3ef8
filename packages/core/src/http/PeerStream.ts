/**
 * Follows the event stream of another node, for its cameras.
 *
 * The node may run another version. A camera that this version cannot decode is skipped.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { CameraId } from "../camera/Camera.ts"
import { causeOf } from "../player/PlayerServer.ts"
import { CameraSummary, Overview } from "./Api.ts"
import type { NodeChanges } from "./MergedCameras.ts"

/** Why a node cannot be followed; one line. */
export class PeerError extends Data.TaggedError("PeerError")<{
  readonly message: string
  /**
   * - `silent`: no node responds.
   * - `other`: another program responds, or a node that cannot be followed.
   * - `refused`: like `other`, but retrying soon could lock out the other clients of this address.
   */
  readonly kind: "silent" | "other" | "refused"
}> {}

const fail = (message: string, kind: PeerError["kind"] = "silent") =>
  Effect.fail(new PeerError({ message, kind }))

export interface PeerListener {
  readonly onCameras: (changes: NodeChanges) => void
  readonly onRates: (rates: Readonly<Record<string, number>>) => void
  readonly onReaders: (readers: Readonly<Record<string, number>> | null) => void
  /** Called right after the first cameras, and then every 5 seconds. */
  readonly onBeat: (overview: Overview) => void
}

/** The timeout until the start of the response. */
const responseTimeout = "3 seconds"
/** Beats come every 5 seconds. */
const silenceTimeout = "7 seconds"
/** The size of a snapshot of 90,000 cameras, in bytes. */
const maxEventSize = 64 * 1024 * 1024
/** How many cameras are decoded before other fibers run. */
const batch = 200

const Changes = Schema.Struct({
  cameras: Schema.Array(Schema.Unknown),
  removed: Schema.Array(Schema.String)
})
const Counts = Schema.Record(Schema.String, Schema.Finite)
const decodeChanges = Schema.decodeUnknownOption(Changes)
const decodeCamera = Schema.decodeUnknownOption(CameraSummary)
const decodeCounts = Schema.decodeUnknownOption(Schema.NullOr(Counts))
const decodeOverview = Schema.decodeUnknownOption(Overview)

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const changesOf = Effect.fnUntraced(function* (
  data: unknown,
  isComplete: boolean
): Effect.fn.Return<NodeChanges | undefined> {
  const changes = Option.getOrUndefined(decodeChanges(data))
  if (changes === undefined) return undefined
  const cameras: Array<CameraSummary> = []
  for (const [index, camera] of changes.cameras.entries()) {
    if (index % batch === batch - 1) yield* Effect.yieldNow
    const decoded = decodeCamera(camera)
    if (Option.isSome(decoded)) cameras.push(decoded.value)
  }
  return { cameras, isComplete, removed: changes.removed as ReadonlyArray<CameraId> }
})

export type Bitrates = ReadonlyMap<CameraId, ReadonlyArray<number>>

const decodeBitrates = Schema.decodeUnknownEffect(
  Schema.Struct({
    total: Schema.Finite,
    cameras: Schema.Array(
      Schema.Struct({ id: CameraId, bitrates: Schema.optionalKey(Schema.Array(Schema.Finite)) })
    )
  })
)
const bitratesAPage = 500
const pageTimeout = "5 seconds"

/** The bitrates of all cameras of a node in the last hour, one per minute. After an error, those received so far. */
export const bitrates = Effect.fnUntraced(function* (client: HttpClient.HttpClient, url: string) {
  const all = new Map<CameraId, ReadonlyArray<number>>()
  const page = Effect.fnUntraced(function* (offset: number) {
    const response = yield* client.get(
      `${url}/api/cameras?scope=node&history=true&limit=${bitratesAPage}&offset=${offset}`
    )
    const { cameras, total } = yield* Effect.flatMap(response.json, decodeBitrates)
    for (const { bitrates, id } of cameras) if (bitrates !== undefined) all.set(id, bitrates)
    return total
  }, Effect.timeout(pageTimeout))
  yield* Effect.gen(function* () {
    let total = 1
    for (let offset = 0; offset < total; offset += bitratesAPage) total = yield* page(offset)
  }).pipe(Effect.ignore)
  return all as Bitrates
})

/**
 * Follows the cameras of a node. Fails when the stream ends, when the node is silent, or when another daemon responds.
 *
 * @param client sends the token and follows no redirects.
 * @param name the name of the expected node: another node may listen at the same address.
 */
export const follow = Effect.fnUntraced(function* (
  client: HttpClient.HttpClient,
  name: string,
  url: string,
  listener: PeerListener
): Effect.fn.Return<never, PeerError> {
  const request = HttpClientRequest.get(`${url}/api/events?scope=node`)
  let before: NodeChanges | undefined
  let isKnown = false

  const take = Effect.fnUntraced(function* ({ data: text, event }: Sse.Event) {
    const data = parse(text)
    switch (event) {
      case "snapshot":
      case "cameras": {
        const changes = yield* changesOf(data, event === "snapshot")
        if (changes === undefined) return
        if (isKnown) listener.onCameras(changes)
        // the name of the node follows in the beat after the snapshot
        else before = changes
        return
      }
      case "rates":
      case "readers": {
        const counts = Option.getOrUndefined(decodeCounts(data))
        if (counts === undefined || !isKnown) return
        if (event === "readers") listener.onReaders(counts)
        else if (counts !== null) listener.onRates(counts)
        return
      }
      case "beat": {
        const overview = Option.getOrUndefined(decodeOverview(data))
        if (overview === undefined) {
          return yield* fail(
            "it runs another version of restream, which this one does not understand",
            "other"
          )
        }
        if (overview.node !== name) {
          return yield* fail(
            `${overview.node === undefined ? "a daemon that is not in the cluster" : `node ${overview.node}`} responds there; set cluster.apiUrl of ${name}`,
            "other"
          )
        }
        isKnown = true
        if (before !== undefined) listener.onCameras(before)
        before = undefined
        // last, because fibers that wait for the node's first response continue within this call
        listener.onBeat(overview)
        return
      }
      case "bye":
        return yield* fail("it has stopped")
    }
  })

  return yield* Effect.gen(function* () {
    const response = yield* Effect.timeout(
      HttpClient.withScope(client).execute(request),
      responseTimeout
    )
    const { status } = response
    switch (status) {
      case 200:
        break
      case 401:
        return yield* fail(
          "it requires another token; set http.token alike on all nodes",
          "refused"
        )
      case 421:
        return yield* fail(
          "it does not know the host name of its address; set http.allowedHosts there",
          "other"
        )
      case 429:
        return yield* fail("it refuses further attempts after too many wrong tokens", "refused")
      default:
        return yield* fail(`it answers with HTTP status ${status}`, "other")
    }
    yield* response.stream.pipe(
      Stream.timeoutOrElse({
        duration: silenceTimeout,
        orElse: () => Stream.fromEffect(fail("it has been silent for 7 s"))
      }),
      Stream.decodeText(),
      Stream.pipeThroughChannel(Sse.decode({ maxEventSize })),
      Stream.runForEach(take)
    )
    return yield* fail("the connection was closed")
  }).pipe(
    Effect.scoped,
    Effect.catchTags({
      HttpClientError: (error) => fail(causeOf(error)),
      Retry: () => fail("it is not restream", "other"),
      SseError: () => fail("it sent too large an event"),
      TimeoutError: () => fail("no response within 3 s")
    }),
    Effect.catchDefect((defect) =>
      Effect.andThen(Effect.logError("internal error", defect), fail("internal error"))
    )
  )
})
