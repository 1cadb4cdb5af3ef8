/** What stands for a host in an address: a name, an IPv4 address, or an IPv6 address. */

/** RFC 952 and RFC 1123 §2.1, with the underscore that some name servers carry. IPv4 looks like one, too. */
const hostName =
  /^(?=.{1,253}$)[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?(?:\.[\p{L}\p{N}_](?:[\p{L}\p{N}_-]*[\p{L}\p{N}_])?)*\.?$/u

/** An IPv6 address without brackets, with or without its zone. */
export const ipv6 = /^[0-9a-fA-F:]*:[0-9a-fA-F:.]*(?:%[0-9A-Za-z._~-]+)?$/

/** Whether the text can be a host: a name, an IPv4 address, or an IPv6 address without brackets. */
export const isHost = (text: string): boolean =>
  // none is longer, and to look for the colons takes the square of the length
  text.length <= 300 && (hostName.test(text) || ipv6.test(text))

/** A host as people write it, an IPv6 address without its brackets. */
export const withoutBrackets = (host: string): string => host.trim().replace(/^\[(.*)\]$/s, "$1")

/** An IPv6 address in brackets, any other host as it is. */
export const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

export const isPort = (port: number): boolean =>
  Number.isInteger(port) && port >= 1 && port <= 65_535

/** Whether a host is an IPv4 or IPv6 address, or looks like one, and no name. */
export const isAddress = (host: string): boolean =>
  host.includes(":") || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)
