/**
 * Chooses the media server of a camera, if there are several. Pure, and the same on every node.
 *
 * Weighted rendezvous hashing (Schindelhauer, Schomaker: Weighted Distributed Hash Tables, 2005): each server
 * gets a score from its name and the key, and the lowest score wins. Adding or removing a server moves only the
 * cameras of that server.
 */
import { bracketed, type ConfiguredServer, mediaServersOf, type Settings } from "@restream/config"
import * as Redacted from "effect/Redacted"
import { hash } from "node:crypto"
import type { CameraServer } from "../camera/Camera.ts"

/** One of the media servers among which the cameras are divided. */
export interface Candidate {
  readonly server: CameraServer
  /** The share of the cameras, relative to the other servers. */
  readonly weight: number
}

/** The servers of `mediaServers`; empty if there is only one media server. */
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

/** A digest of the names and weights: two nodes with the same digest choose alike. `undefined`: one server. */
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

/** Exponentially distributed, with the weight as the rate. */
const scoreOf = (name: string, weight: number, key: string): number => {
  const bits = Number.parseInt(hash("md5", `${name}\n${key}`).slice(0, 13), 16)
  return -Math.log((bits + 0.5) / 2 ** 52) / weight
}

/**
 * The settings of a media server by its name; `undefined` if no such server is configured.
 *
 * @param name `undefined`: the only server, of `mediaServer`.
 */
export const serverSettings = (
  settings: Pick<Settings, "mediaServer" | "mediaServers">,
  name: string | undefined
): Settings["mediaServer"] | undefined =>
  mediaServersOf(settings).find((server) => server.name === name)?.settings
