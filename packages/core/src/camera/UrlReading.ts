/**
 * The ways to split an address as people write it into its parts, and the choice between them.
 *
 * A password may hold any character, and people write it into addresses as it is.
 */
import { ipv6, isAddress, isHost, isPort } from "@restream/config"

/** The host, path and query of an address. */
interface Place {
  readonly host: string
  readonly port: number | undefined
}

/** One way to split an address into its parts. */
export interface Reading {
  readonly userInfo: string | undefined
  /** `undefined`: the text is not a host. */
  readonly place: Place | undefined
  readonly target: string
}

/**
 * The ways to split `user:password@host:port/path?query`, the standard's first: there the authority ends at
 * the first `/`, `?` or `#` (RFC 3986 §3.2). The others take such a character for one of the password: any
 * part between two of them that holds an `@` may be the one with the host.
 */
const readings = (rest: string): ReadonlyArray<Reading> => {
  const found: Array<Reading> = []
  let start = 0
  for (const part of rest.split(/[/?#]/)) {
    const end = start + part.length
    const at = part.lastIndexOf("@")
    if (at !== -1 || start === 0) {
      found.push({
        userInfo: at === -1 ? undefined : rest.slice(0, start + at),
        place: readPlace(part.slice(at + 1)),
        target: rest.slice(end)
      })
    }
    start = end + 1
  }
  return found
}

/** A single word may be anything; a text with a dot or a port is most likely a host. */
const looksLikeHost = ({ host, port }: Place): boolean =>
  isAddress(host) || host.includes(".") || port !== undefined

/**
 * The only possible reading of an address after its scheme. Where two are possible, the wrong
 * one would show a part of a password as a host or a path, so neither is used.
 */
export const readingOf = (rest: string): Reading | "doubtful" | undefined => {
  const all = readings(rest)
  const index = all.findIndex(({ place }) => place !== undefined)
  const first = all[index]
  if (first?.place === undefined) return undefined
  const later = all.slice(index + 1)
  if (later.length === 0) return first
  const { host, port } = first.place

  // an IP address is no user name, and hardly ever a piece of a password
  if (isAddress(host)) {
    const isPlain = first.userInfo === undefined
    return isPlain || !later.some(({ place }) => place !== undefined && isAddress(place.host))
      ? first
      : "doubtful"
  }
  // `host/path@x`: nothing before the @ could end a user name, and nothing behind it is likely a host
  if (
    first.userInfo === undefined &&
    port === undefined &&
    later.every(
      ({ place, userInfo }) =>
        userInfo?.includes(":") === false && (place === undefined || !looksLikeHost(place))
    )
  ) {
    return first
  }
  // no camera's address has a query or a fragment right behind the host: with an @ further on, the host
  // is still to come, and what looks like it is a part of the password
  const last = all.at(-1)
  const isCut = all.slice(0, -1).every(({ place, target }) => !place || /^[?#]/.test(target))
  return isCut && last?.place !== undefined && looksLikeHost(last.place) ? last : "doubtful"
}

/** `host` or `host:port`. */
const readPlace = (place: string): Place | undefined => {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(place)
  if (match === null) return undefined
  const host = match[1] ?? match[2] ?? ""
  const port = match[3] === undefined || match[3] === "" ? undefined : Number(match[3])
  if (!isHost(host) || (match[1] !== undefined && !ipv6.test(host))) return undefined
  return port === undefined || isPort(port) ? { host, port } : undefined
}
