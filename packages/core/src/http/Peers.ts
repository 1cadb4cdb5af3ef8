/**
 * The other nodes of the cluster: their cameras, and the client that reaches them.
 *
 * This node follows the event streams of the others while clients request all cameras, and for half a minute after the
 * last request. Without a cluster this does nothing.
 */
import { isLoopback, redact, withoutBrackets } from "@restream/config"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Layer from "effect/Layer"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as HttpClient from "effect/http/HttpClient"
import { hostname } from "node:os"
import { type NodeView, Ownership } from "../cluster/Ownership.ts"
import * as ForwardedRequests from "../network/ForwardedRequests.ts"
import { LiveSettings } from "../settings/LiveSettings.ts"
import { nowMs } from "../time/Monotonic.ts"
import { tallyOf } from "../status/OperatorView.ts"
import type { CameraSummary, Cause, Node, Overview } from "./Api.ts"
import { withRates, withReaders } from "./Measured.ts"
import { MergedCameras } from "./MergedCameras.ts"
import * as PeerStream from "./PeerStream.ts"
import { withToken } from "./Token.ts"

/** How long the nodes are followed after the last request. */
const interestMs = 30_000
/** How long a request waits for the first response of the other nodes. */
const firstAnswerTimeout = "2 seconds"
/** The list of the nodes is compared at this interval. */
const syncInterval = "500 millis"
const retryDelay = Duration.seconds(1)
/** Five wrong tokens in a minute lock out an address, and several nodes may share one. */
const refusedDelay = Duration.minutes(5)
/**
 * How long the last known cameras of a silent node stay in the list. The other nodes take them over within the lease.
 */
const lastKnownMs = 15_000

interface Peer {
  readonly name: string
  readonly url: string
  /** `undefined`: the node does not respond. */
  overview: Overview | undefined
  problem: string
  /** Whether any program responds at the URL of the node. */
  isAnswered: boolean
  /** Since when the node does not respond, by the wall clock and by the monotonic clock. */
  since: number
  sinceMs: number
  /** Done with the first response or the first failure. */
  readonly tried: Deferred.Deferred<void>
  /** Requested at most once a minute. */
  readonly bitrates: Effect.Effect<PeerStream.Bitrates>
}

export class Peers extends Context.Service<
  Peers,
  {
    /** The cameras of all nodes. The reader has to apply the cameras of this node. */
    readonly cameras: MergedCameras
    /** Records a request for the cameras of all nodes, so that the nodes are followed. */
    readonly touch: () => void
    /** Like `touch`; done when the other nodes have responded once, or after 2 seconds. */
    readonly ready: Effect.Effect<void>
    /** The other nodes. */
    readonly nodes: () => ReadonlyArray<Node>
    /** The problems with other nodes. */
    readonly causes: () => ReadonlyArray<typeof Cause.Type>
    /** The overviews of the nodes that respond. */
    readonly overviews: () => ReadonlyArray<Overview>
    /** The bitrates of cameras of other nodes that respond, for the last hour, one per minute. */
    readonly bitrates: (cameras: ReadonlyArray<CameraSummary>) => Effect.Effect<PeerStream.Bitrates>
    /** The URL of a node's API. `undefined`: the node does not respond. */
    readonly urlOf: (name: string) => string | undefined
    /** Sends the token, and follows no redirects. */
    readonly client: HttpClient.HttpClient
  }
>()("@restream/core/http/Peers") {
  static readonly layer: Layer.Layer<Peers, never, LiveSettings> = Layer.effect(
    Peers,
    Effect.suspend(() => make)
  ).pipe(Layer.provide(ForwardedRequests.withoutRedirects))
}

const make = Effect.gen(function* () {
  const { node, nodes: known = () => [] } = yield* Ownership
  const clock = yield* Clock.Clock
  const { token } = SubscriptionRef.getUnsafe(yield* LiveSettings).http
  const client = withToken(yield* HttpClient.HttpClient, token)
  const cameras = new MergedCameras()
  const peers = new Map<string, Peer>()
  let touchedMs = -Infinity
  let isAwake = Deferred.makeUnsafe<void>()
  let answered = Deferred.makeUnsafe<void>()

  const newPeer = Effect.fnUntraced(function* (name: string, url: string): Effect.fn.Return<Peer> {
    return {
      name,
      url,
      overview: undefined,
      problem: "it has not responded yet",
      isAnswered: false,
      since: clock.currentTimeMillisUnsafe(),
      sinceMs: nowMs(clock),
      tried: Deferred.makeUnsafe(),
      bitrates: yield* Effect.cachedWithTTL(PeerStream.bitrates(client, url), "50 seconds")
    }
  })

  /** Follows a node until interrupted. */
  const follow = Effect.fnUntraced(function* (peer: Peer): Effect.fn.Return<never> {
    const { name, tried, url } = peer
    const ifKnown =
      <A>(apply: (value: A) => void) =>
      (value: A) => {
        if (peers.get(name) === peer) apply(value)
      }
    const listener: PeerStream.PeerListener = {
      onBeat: (overview) => {
        peer.overview = overview
        Deferred.doneUnsafe(tried, Effect.void)
      },
      onCameras: ifKnown((changes) => cameras.apply(name, changes)),
      onRates: ifKnown((rates) => cameras.measure(name, withRates(rates))),
      onReaders: ifKnown((readers) => cameras.measure(name, withReaders(readers)))
    }
    for (;;) {
      const { kind, message } = yield* Effect.flip(PeerStream.follow(client, name, url, listener))
      peer.problem = redact(message)
      peer.isAnswered = kind !== "silent"
      if (peer.overview !== undefined) {
        peer.overview = undefined
        peer.since = clock.currentTimeMillisUnsafe()
        peer.sinceMs = nowMs(clock)
      }
      Deferred.doneUnsafe(tried, Effect.void)
      yield* Effect.sleep(kind === "refused" ? refusedDelay : retryDelay)
    }
  })

  const others = () => known().filter(({ isSelf }) => !isSelf)

  /** Starts and stops following nodes, by the current list of nodes. */
  const sync = Effect.fnUntraced(function* (fibers: FiberMap.FiberMap<string>) {
    const now = others()
    for (const node of now) {
      const { apiUrl: url, name } = node
      if (url === undefined || !isReachable(node) || peers.get(name)?.url === url) continue
      const peer = yield* newPeer(name, url)
      peers.set(name, peer)
      yield* FiberMap.run(fibers, name, follow(peer))
    }
    for (const { name, overview, sinceMs } of peers.values()) {
      if (overview !== undefined || nowMs(clock) - sinceMs < lastKnownMs) continue
      cameras.remove(name)
      if (now.some((node) => node.name === name)) continue
      peers.delete(name)
      yield* FiberMap.remove(fibers, name)
    }
  })

  const session = Effect.gen(function* () {
    const fibers = yield* FiberMap.make<string>()
    yield* sync(fibers)
    yield* Effect.forEach(peers.values(), ({ tried }) => Deferred.await(tried), {
      concurrency: "unbounded",
      discard: true
    }).pipe(Effect.timeoutOption(firstAnswerTimeout))
    yield* Deferred.succeed(answered, undefined)
    while (nowMs(clock) - touchedMs < interestMs) {
      yield* Effect.sleep(syncInterval)
      yield* sync(fibers)
    }
    // requests from now on wait for the next session
    isAwake = Deferred.makeUnsafe()
    answered = Deferred.makeUnsafe()
    peers.clear()
    cameras.clear()
  }).pipe(Effect.scoped)

  if (node !== undefined) {
    yield* Effect.suspend(() => Deferred.await(isAwake)).pipe(
      Effect.andThen(session),
      Effect.forever,
      Effect.forkScoped
    )
  }

  const touch = () => {
    touchedMs = nowMs(clock)
    Deferred.doneUnsafe(isAwake, Effect.void)
  }

  const nodeOf = (
    { apiUrl, isActive, machine, name }: Omit<NodeView, "isSelf" | "weight">,
    tallies: ReadonlyMap<string, Node["tally"]>
  ): Node => {
    const { overview, problem } = peers.get(name) ?? {}
    const common = { name, isSelf: false, url: apiUrl ?? null }
    if (overview !== undefined) {
      return {
        ...common,
        state: isActive ? "ok" : "draining",
        problem: null,
        tally: tallies.get(name) ?? tallyOf([]),
        bitrate: overview.bitrate,
        version: overview.version
      }
    }
    const unknown = { ...common, tally: null, bitrate: null, version: null }
    if (problem !== undefined) return { ...unknown, state: "unreachable", problem }
    return {
      ...unknown,
      state: "unknown",
      problem:
        apiUrl === undefined
          ? "it names no address of its HTTP API; set http.enabled and cluster.apiUrl there"
          : machine === hostname()
            ? "it has not been asked yet"
            : `its HTTP API listens on ${new URL(apiUrl).host} of its machine only; set http.host and http.token, or cluster.apiUrl, there`
    }
  }

  return Peers.of({
    cameras,
    client,
    touch,
    ready:
      node === undefined
        ? Effect.void
        : Effect.suspend(() => {
            touch()
            return Deferred.await(answered)
          }),
    nodes: () => {
      const listed = others()
      const { tallies } = cameras
      // while the database is unreachable, nodes are known only by their overviews
      const unlisted = [...peers.values()].flatMap(({ name, overview, url }) =>
        overview === undefined || listed.some((node) => node.name === name)
          ? []
          : [{ name, isActive: true, apiUrl: url, machine: undefined }]
      )
      return [...listed, ...unlisted].map((node) => nodeOf(node, tallies))
    },
    causes: () =>
      others().flatMap(({ name }) => {
        const { isAnswered, overview, problem, since, url } = peers.get(name) ?? {}
        if (since === undefined || overview !== undefined) return []
        return [
          {
            kind: "node",
            ...(isAnswered === true
              ? {
                  message: `the cameras of node ${name} cannot be read at ${url}: ${problem}`,
                  advice: `Correct what the message names, and check cluster.apiUrl of ${name}. Its relays are unaffected.`
                }
              : {
                  message: `node ${name} does not respond at ${url}: ${problem}`,
                  advice: `Its cameras are shown as they were last for 15 s, and then not until it responds; if it has ended, the other nodes take them over. Check that it runs, and that this machine reaches the address (cluster.apiUrl of ${name}).`
                }),
            since,
            host: null,
            count: 0,
            cameras: []
          }
        ]
      }),
    overviews: () => [...peers.values()].flatMap(({ overview }) => overview ?? []),
    bitrates: Effect.fnUntraced(function* (page) {
      const names = new Set(page.map(({ node }) => node))
      const responding = [...peers.values()].filter(
        ({ name, overview }) => overview !== undefined && names.has(name)
      )
      const all = yield* Effect.forEach(responding, ({ bitrates }) => bitrates, {
        concurrency: "unbounded"
      })
      return new Map(all.flatMap((bitrates) => [...bitrates]))
    }),
    urlOf: (name) => {
      const peer = peers.get(name)
      return peer?.overview === undefined ? undefined : peer.url
    }
  })
})

/** A loopback address reaches only nodes of this machine. */
const isReachable = ({ apiUrl = "", machine }: NodeView): boolean =>
  URL.canParse(apiUrl) &&
  (machine === hostname() || !isLoopback(withoutBrackets(new URL(apiUrl).hostname)))
