/** Merges the overviews of several nodes. Pure. */
import { worstFirst } from "../status/Causes.ts"
import type { Cause, Node, Overview, Tally } from "./Api.ts"

type Cause = typeof Cause.Type

/** Merges equal causes of several nodes. */
export const mergeCauses = (causes: ReadonlyArray<Cause>): ReadonlyArray<Cause> => {
  const merged = new Map<string, Cause>()
  for (const cause of causes) {
    const key = JSON.stringify([cause.kind, cause.message, cause.host])
    const other = merged.get(key)
    merged.set(
      key,
      other === undefined
        ? cause
        : {
            ...cause,
            since: Math.min(cause.since, other.since),
            count: cause.count + other.count,
            cameras: [...other.cameras, ...cause.cameras].slice(0, 100)
          }
    )
  }
  return [...merged.values()].sort(worstFirst)
}

export interface MergeOptions {
  /** The overview of this node. */
  readonly own: Overview
  /** The overviews of the other nodes that respond. */
  readonly others: ReadonlyArray<Overview>
  readonly nodes: ReadonlyArray<Node>
  /** The problems with other nodes. */
  readonly causes: ReadonlyArray<Cause>
  readonly tally: typeof Tally.Type
}

/** For media servers and camera lists, shows the worst state of all nodes. */
export const merge = ({ causes, nodes, others, own, tally }: MergeOptions): Overview => {
  const all = [own, ...others]
  return {
    ...own,
    nodes,
    tally,
    causes: mergeCauses([...all.flatMap((overview) => overview.causes), ...causes]),
    bitrate: all.reduce((sum, { bitrate }) => sum + bitrate, 0),
    mediaServer:
      all.find(({ mediaServer }) => mediaServer.state === "down")?.mediaServer ?? own.mediaServer,
    ...(own.mediaServers !== undefined && {
      mediaServers: own.mediaServers.map(
        (server) =>
          all
            .flatMap(({ mediaServers = [] }) => mediaServers)
            .find(({ name, state }) => name === server.name && state === "down") ?? server
      )
    }),
    database: all.find(({ database }) => database.state === "down")?.database ?? own.database
  }
}
