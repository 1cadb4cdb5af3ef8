/**
 * Which of several media servers a camera is published to. Pure, and the same on every node.
 *
 * Rendezvous hashing by weight (Schindelhauer, Schomaker: Weighted Distributed Hash Tables, 2005): each server
 * gets a score from its name and the key, and the lowest score wins. A server that is added or removed moves only
 * the cameras that it gets or had.
 */
import { bracketed, type ConfiguredServer, mediaServersOf, type Settings } from "@restream/config"
import * as Redacted from "effect/Redacted"
import { hash } from "node:crypto"
import type { CameraServer } from "../camera/Camera.ts"

/** A media server among which cameras are divided. */
export interface Candidate {
  readonly server: CameraServer
  /** The share of the cameras, relative to the other servers. */
  readonly weight: number
}

/** The servers of `mediaServers`; none where the settings have one media server only. */
export const candidatesOf = (
  settings: Pick<Settings, "mediaServer" | "mediaServers">
): ReadonlyArray<Candidate> =>
  mediaServersOf(settings).flatMap(({ name, settings, weight }) =>
    name === undefined ? [] : [{ server: serverOf(name, settings), weight }]
  )

const serverOf = (name: string, server: ConfiguredServer["settings"]): CameraServer => {
  const { apiUrl, fingerprint, host, insecure, password, port, query, scheme, username } = server
  const address = `${bracketed(host.toLowerCase())}:${port}`
  const secrets = [password, query, apiUrl].map((secret) => secret && Redacted.value(secret))
  const all = [name, address, scheme, username, insecure, fingerprint, ...secrets]
  return { name, address, key: hash("sha256", JSON.stringify(all)) }
}

/** What the choice depends on: two nodes with the same digest choose alike. `undefined`: there is one server. */
export const digestOf = (
  settings: Pick<Settings, "mediaServer" | "mediaServers">
): string | undefined => {
  const servers = candidatesOf(settings).map(({ server, weight }) => `${server.name} ${weight}`)
  return servers.length === 0
    ? undefined
    : hash("sha256", servers.toSorted().join("\n")).slice(0, 12)
}

/** The servers for a key, the first choice first. */
export const inOrder = (
  key: string,
  candidates: ReadonlyArray<Candidate>
): ReadonlyArray<CameraServer> =>
  candidates
    .map(({ server, weight }) => ({ server, score: scoreOf(server.name, weight, key) }))
    .sort((a, b) => a.score - b.score || (a.server.name < b.server.name ? -1 : 1))
    .map(({ server }) => server)

/** Exponentially distributed, with the weight as its rate. */
const scoreOf = (name: string, weight: number, key: string): number => {
  const bits = Number.parseInt(hash("md5", `${name}\n${key}`).slice(0, 13), 16)
  return -Math.log((bits + 0.5) / 2 ** 52) / weight
}

/**
 * The settings of a media server by its name; `undefined` where the settings have no such server, or no longer.
 *
 * @param name `undefined`: the one server of `mediaServer`.
 */
export const serverSettings = (
  settings: Pick<Settings, "mediaServer" | "mediaServers">,
  name: string | undefined
): Settings["mediaServer"] | undefined =>
  mediaServersOf(settings).find((server) => server.name === name)?.settings
