/** Finds cameras whose address has changed, by the identity of their devices. Pure. */
import { isIP } from "node:net"
import type { FoundDevice } from "./Discovery.ts"

/** A camera, and the identity of its device: the endpoint reference of ONVIF, or the MAC address. */
export interface KnownCamera {
  readonly id: string
  readonly name: string
  /** In its address. */
  readonly host: string
  readonly device: string
}

export interface Move {
  readonly camera: KnownCamera
  /** The address at which the device was found. */
  readonly host: string
}

/** The MAC addresses of the neighbors in the local networks, by IP address, from Linux' `/proc/net/arp`. */
export const neighborsOf = (table: string): ReadonlyMap<string, string> =>
  new Map(
    table.split("\n").flatMap((line) => {
      const [host = "", , flags, mac = ""] = line.trim().split(/\s+/)
      // flags 0: the ARP request was not answered
      const isKnown = isIP(host) !== 0 && flags !== "0x0" && macOf(mac) !== undefined
      return isKnown ? [[host, mac.toLowerCase()] as const] : []
    })
  )

/** A normalized MAC address; `undefined` for any other text. */
const macOf = (text: string): string | undefined => {
  const digits = text.trim().toLowerCase().replaceAll(/[:.-]/g, "")
  return /^[0-9a-f]{12}$/.test(digits) ? digits : undefined
}

const identity = (device: string): string =>
  macOf(device) ??
  device
    .trim()
    .toLowerCase()
    .replace(/^urn:uuid:/, "")

/**
 * The cameras whose devices are found at other addresses only. A camera with a host name is skipped: the name
 * follows its device.
 */
export const moved = (
  cameras: ReadonlyArray<KnownCamera>,
  found: ReadonlyArray<FoundDevice>,
  neighbors: ReadonlyMap<string, string>
): ReadonlyArray<Move> => {
  const addresses = new Map<string, Array<string>>()
  const add = (device: string, hosts: ReadonlyArray<string>) => {
    const key = identity(device)
    addresses.set(key, [...(addresses.get(key) ?? []), ...hosts])
  }
  for (const { addresses: hosts, endpoint } of found) add(endpoint, hosts)
  for (const [host, mac] of neighbors) add(mac, [host])
  return cameras.flatMap((camera) => {
    const hosts = addresses.get(identity(camera.device)) ?? []
    const [host] = hosts
    return host === undefined || isIP(camera.host) === 0 || hosts.includes(camera.host)
      ? []
      : [{ camera, host }]
  })
}
