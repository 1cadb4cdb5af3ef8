/** The cameras of all nodes of the cluster as one board, for the handlers. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Ownership, type OwnershipService } from "../cluster/Ownership.ts"
import type * as Api from "./Api.ts"
import { Board, type BoardService } from "./Board.ts"
import * as MergedOverview from "./MergedOverview.ts"
import { Peers } from "./Peers.ts"

/** Without a cluster this is the {@link Board}. */
export class ClusterBoard extends Context.Service<ClusterBoard, BoardService>()(
  "@restream/core/http/ClusterBoard"
) {
  static readonly layer: Layer.Layer<ClusterBoard, never, Board | Peers> = Layer.effect(
    ClusterBoard,
    Effect.gen(function* () {
      const board = yield* Board
      const peers = yield* Peers
      const { node, nodes } = yield* Ownership
      return node === undefined ? board : merge(node, nodes, board, peers)
    })
  )
}

const merge = (
  node: string,
  nodes: OwnershipService["nodes"],
  board: BoardService,
  peers: Peers["Service"]
): BoardService => {
  const merged = peers.cameras
  let seen = 0

  /** Applies the changes of this node to the list. */
  const pull = Effect.gen(function* () {
    peers.touch()
    const since = merged.knows(node) ? seen : 0
    if (since !== 0 && (yield* board.revision) === since) return
    const { changes, isComplete } = yield* board.changesSince(since)
    seen = changes.revision
    merged.apply(node, { ...changes, isComplete })
  })

  /** The cameras with current measurements. */
  const cameras = Effect.gen(function* () {
    yield* pull
    const own = new Map((yield* board.cameras).map((camera) => [camera.id, camera]))
    return merged.cameras.map((camera) => {
      const now = camera.node === node ? own.get(camera.id) : undefined
      return now === undefined ? camera : { ...now, revision: camera.revision }
    })
  })

  return {
    boot: board.boot,
    ready: peers.ready,
    revision: Effect.map(pull, () => merged.revision),
    cameras,
    bitrates: Effect.fnUntraced(function* (page) {
      const own = yield* board.bitrates(page.filter((camera) => camera.node === node))
      const theirs = yield* peers.bitrates(page.filter((camera) => camera.node !== node))
      return new Map([...own, ...theirs])
    }),
    changesSince: Effect.fnUntraced(function* (since) {
      yield* pull
      const { isComplete, ...changes } = merged.changesSince(since)
      return { isComplete, changes: { boot: board.boot, ...changes } }
    }),
    overview: Effect.gen(function* () {
      yield* pull
      const own = yield* board.overview
      const known = nodes?.().find(({ isSelf }) => isSelf)
      const self: Api.Node = {
        name: node,
        isSelf: true,
        state: known?.isActive === false ? "draining" : "ok",
        problem: null,
        url: known?.apiUrl ?? null,
        tally: merged.tallies.get(node) ?? own.tally,
        bitrate: own.bitrate,
        version: own.version
      }
      return MergedOverview.merge({
        own: { ...own, revision: merged.revision },
        others: peers.overviews(),
        nodes: withWorkers([self, ...peers.nodes()], own.workers),
        causes: peers.causes(),
        tally: merged.tally
      })
    })
  }
}

/** By name, with the workers of this machine that are not in the cluster. */
const withWorkers = (
  nodes: ReadonlyArray<Api.Node>,
  workers: Api.Overview["workers"] = []
): ReadonlyArray<Api.Node> => {
  const missing = workers.filter((worker) => nodes.every(({ name }) => name !== worker.name))
  return [
    ...nodes,
    ...missing.map(({ name }): Api.Node => ({
      name,
      isSelf: false,
      state: "unreachable",
      problem:
        "it does not run, or has not joined the cluster; the other nodes take over its cameras",
      url: null,
      tally: null,
      bitrate: null,
      version: null
    }))
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
}
