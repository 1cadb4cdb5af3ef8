/** The host of an address: a name, an IPv4 address or an IPv6 address. */

/** RFC 952 and RFC 1123 §2.1, with the underscore that some name servers accept. Matches IPv4, too. */
const hostName =
  /^(?=.{1,253}$)[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?(?:\.[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?)*\.?$/u

/** An IPv6 address without brackets, with or without its zone. It has eight groups, or `::` for some of them. */
export const ipv6 =
  /^(?=.*::|(?:[^:]*:){7}[^:]*$|(?:[^:]*:){6}[^:]*\.[^:]*$)[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:%[0-9A-Za-z._~-]+)?$/

/** Whether the text can be a host: a name, an IPv4 address, or an IPv6 address without brackets. */
export const isHost = (text: string): boolean =>
  // the length is checked first because the search for colons is quadratic
  text.length <= 300 && (hostName.test(text) || ipv6.test(text))

/** The host without surrounding white space and without the brackets of an IPv6 address. */
export const withoutBrackets = (host: string): string => host.trim().replace(/^\[(.*)\]$/s, "$1")

/** The zone of an IPv6 address in a URL, `%25eth0` (RFC 6874), as an address has it: `%eth0`. */
export const withPlainZone = (host: string): string =>
  host.includes(":") ? host.replace(/%25(?=.)/, "%") : host

/** An IPv6 address without its zone, which is valid on this machine only (RFC 6874 §1). */
export const withoutZone = (host: string): string =>
  host.includes(":") ? host.replace(/%.*$/s, "") : host

/** An IPv6 address in brackets; any other host unchanged. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

export const isPort = (port: number): boolean =>
  Number.isInteger(port) && port >= 1 && port <= 65_535

/** Whether the host is an IPv4 or IPv6 address, or looks like one, and not a name. */
export const isAddress = (host: string): boolean =>
  host.includes(":") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)

/** Whether a server that listens on this host listens on all addresses of the machine. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

/** Whether only this machine can reach the host: `localhost`, 127.0.0.0/8, also in a short form (`127.1`), or ::1. */
export const isLoopback = (host: string): boolean => {
  const bare = withoutBrackets(host).toLowerCase()
  return bare === "localhost" || bare === "::1" || /^127(?:\.\d+){1,3}$/.test(bare)
}
