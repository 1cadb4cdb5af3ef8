/**
 * Splits an address as people write it into its parts.
 *
 * A password may contain any character, and people often write it without encoding, so several readings may be
 * possible.
 */
import { ipv6, isAddress, isHost, isPort } from "@restream/config"

/** The host and the port of an address. */
interface HostAndPort {
  readonly host: string
  readonly port: number | undefined
}

/** One way to split an address into its parts. */
export interface Reading {
  readonly userInfo: string | undefined
  /** `undefined`: the text is not a host. */
  readonly hostAndPort: HostAndPort | undefined
  readonly target: string
}

/**
 * All ways to split `user:password@host:port/path?query`. First the standard one, where the authority ends at the
 * first `/`, `?` or `#` (RFC 3986 §3.2). In the others, such a character belongs to the password: any part between
 * two of these characters that contains an `@` may contain the host.
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
        hostAndPort: readHostAndPort(part.slice(at + 1)),
        target: rest.slice(end)
      })
    }
    start = end + 1
  }
  return found
}

/** Whether the text is most likely a host: it has a dot or a port. A single word may be anything. */
const looksLikeHost = ({ host, port }: HostAndPort): boolean =>
  isAddress(host) || host.includes(".") || port !== undefined

/**
 * The only possible reading of an address after its scheme. If two are possible, neither is used: the wrong one
 * would print a part of a password as a host or a path.
 */
export const readingOf = (rest: string): Reading | "ambiguous" | undefined => {
  const all = readings(rest)
  const index = all.findIndex(({ hostAndPort }) => hostAndPort !== undefined)
  const first = all[index]
  if (first?.hostAndPort === undefined) return undefined
  const later = all.slice(index + 1)
  if (later.length === 0) return first
  const { host, port } = first.hostAndPort

  // an IP address is not a user name, and hardly ever a part of a password
  if (isAddress(host)) {
    const isPlain = first.userInfo === undefined
    return isPlain ||
      !later.some(({ hostAndPort }) => hostAndPort !== undefined && isAddress(hostAndPort.host))
      ? first
      : "ambiguous"
  }
  // `host/path@x`: no user name and password before the @, and most likely no host after it
  if (
    first.userInfo === undefined &&
    port === undefined &&
    later.every(
      ({ hostAndPort, userInfo }) =>
        userInfo?.includes(":") === false &&
        (hostAndPort === undefined || !looksLikeHost(hostAndPort))
    )
  ) {
    return first
  }
  // no camera's address has a query or a fragment directly after the host: if an @ follows, the text before it is a
  // part of the password, and the host follows the last @
  const last = all.at(-1)
  const isCut = all
    .slice(0, -1)
    .every(({ hostAndPort, target }) => !hostAndPort || /^[?#]/.test(target))
  return isCut && last?.hostAndPort !== undefined && looksLikeHost(last.hostAndPort)
    ? last
    : "ambiguous"
}

/** `host` or `host:port`. */
const readHostAndPort = (hostAndPort: string): HostAndPort | undefined => {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(hostAndPort)
  if (match === null) return undefined
  const host = match[1] ?? match[2] ?? ""
  const port = match[3] === undefined || match[3] === "" ? undefined : Number(match[3])
  if (!isHost(host) || (match[1] !== undefined && !ipv6.test(host))) return undefined
  return port === undefined || isPort(port) ? { host, port } : undefined
}
