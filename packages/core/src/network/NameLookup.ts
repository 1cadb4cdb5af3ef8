/**
 * One look-up of a host name: in the hosts file, then by the name server, then by the system.
 *
 * `dns.lookup` alone is not sufficient: it occupies one of two threads of the process as long as a name server
 * does not respond, so that two such names delay all others. Queries by `dns.Resolver` occupy no thread. The system
 * looks up only names that are unknown to the name server, because it knows search domains, mDNS and other sources
 * (`/etc/nsswitch.conf`), and a name server that has responded will not block it.
 */
import * as Effect from "effect/Effect"
import { lookup, promises as dns } from "node:dns"
import { readFileSync, statSync } from "node:fs"
import { isIP } from "node:net"

/** The outcome of a look-up. */
export type Answer =
  | { readonly _tag: "Found"; readonly addresses: ReadonlyArray<string> }
  /** The name has no address. */
  | { readonly _tag: "NoSuchHost" }
  /** The name server did not respond, or failed. */
  | { readonly _tag: "NoAnswer" }

const noSuchHost: Answer = { _tag: "NoSuchHost" }
const noAnswer: Answer = { _tag: "NoAnswer" }

const found = (addresses: ReadonlyArray<string>): Answer =>
  addresses.length === 0 ? noSuchHost : { _tag: "Found", addresses }

/** The time for the first query to a name server; the second one may take twice as long. */
const queryTimeoutMs = 2_000

/** The longest time of a look-up, in milliseconds. */
const maxLookUpMs = 9_000

/** The time for IPv6 addresses once IPv4 addresses are known (RFC 8305 §3): some name servers ignore the query. */
const ipv6DelayMs = 50

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })

/** The addresses by name in a hosts file, names in lower case. */
export const parseHosts = (text: string): ReadonlyMap<string, ReadonlyArray<string>> => {
  const hosts = new Map<string, Array<string>>()
  for (const line of text.split("\n")) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const addresses = hosts.get(name.toLowerCase()) ?? []
      addresses.push(address)
      hosts.set(name.toLowerCase(), addresses)
    }
  }
  return hosts
}

/** The addresses of a name in a hosts file. The file is read again after a change. */
const hostsIn = (file: string): ((name: string) => ReadonlyArray<string> | undefined) => {
  let hosts: ReturnType<typeof parseHosts> = new Map()
  let version = ""
  return (name) => {
    try {
      const { mtimeMs, size } = statSync(file)
      if (version !== `${mtimeMs} ${size}`) hosts = parseHosts(readFileSync(file, "utf8"))
      version = `${mtimeMs} ${size}`
    } catch {
      // no such file
      hosts = new Map()
      version = ""
    }
    return hosts.get(name)
  }
}

/** `localhost` and the names below it never reach a name server (RFC 6761 §6.3). */
const isLoopback = (name: string): boolean => /(?:^|\.)localhost$/.test(name)

/** The codes of `dns.Resolver` for a name without addresses; the other codes are failures of the name server. */
const noAddressCodes = new Set(["ENOTFOUND", "ENODATA", "EBADNAME"])

const settle = (query: Promise<ReadonlyArray<string>>): Promise<Answer> =>
  query.then(found, ({ code = "" }: NodeJS.ErrnoException) =>
    noAddressCodes.has(code) ? noSuchHost : noAnswer
  )

const byNameServer = async (
  name: string,
  servers: ReadonlyArray<string> | undefined
): Promise<Answer> => {
  // a new resolver each time, because it reads the addresses of the name servers only once
  const resolver = new dns.Resolver({ timeout: queryTimeoutMs, tries: 2 })
  if (servers !== undefined) resolver.setServers(servers)
  const query6 = settle(resolver.resolve6(name))
  const ipv4 = await settle(resolver.resolve4(name))
  if (ipv4._tag !== "Found") {
    const ipv6 = await query6
    return ipv6._tag === "NoSuchHost" ? ipv4 : ipv6
  }
  const ipv6 = await Promise.race([query6, sleep(ipv6DelayMs)])
  resolver.cancel()
  return found([...ipv4.addresses, ...(ipv6?._tag === "Found" ? ipv6.addresses : [])])
}

/** Looks the name up by the system, in a thread of the process. */
const bySystem = (name: string): Promise<Answer> =>
  new Promise((resolve) => {
    lookup(name, { all: true }, (error, addresses) => {
      if (error === null) resolve(found(addresses.map(({ address }) => address)))
      else resolve(error.code === "ENOTFOUND" ? noSuchHost : noAnswer)
    })
  })

/** Names that resolve without a name server: of this network (`camera`) or by mDNS (`camera.local`, RFC 6762). */
const isLocalName = (name: string): boolean => !name.includes(".") || name.endsWith(".local")

let lastLookUp: Promise<unknown> = Promise.resolve()

/** One look-up by the system at a time, so that slow look-ups leave a thread for others. */
const bySystemInOrder = (name: string, isOver: () => boolean): Promise<Answer> => {
  const lookUp = lastLookUp.then(() => (isOver() ? noAnswer : bySystem(name)))
  lastLookUp = lookUp
  return lookUp
}

const ask = async (
  name: string,
  servers: ReadonlyArray<string> | undefined,
  isOver: () => boolean
): Promise<Answer> => {
  const answer = await byNameServer(name, servers)
  switch (answer._tag) {
    case "Found":
      return answer
    case "NoSuchHost":
      return bySystem(name)
    case "NoAnswer":
      return isLocalName(name) ? bySystemInOrder(name, isOver) : answer
  }
}

export interface NameLookupOptions {
  /** Default `/etc/hosts`. */
  readonly hostsFile?: string | undefined
  /** The addresses of the name servers. Default: those of the system. */
  readonly servers?: ReadonlyArray<string> | undefined
}

/** Looks names up. A look-up ends within 9 s, and does not delay other look-ups. */
export const make = ({ hostsFile = "/etc/hosts", servers }: NameLookupOptions = {}): ((
  name: string
) => Effect.Effect<Answer>) => {
  const inHostsFile = hostsIn(hostsFile)
  return (name) =>
    Effect.suspend(() => {
      const addresses = inHostsFile(name)
      if (addresses !== undefined) return Effect.succeed(found(addresses))
      if (isLoopback(name)) return Effect.succeed(found(["127.0.0.1", "::1"]))
      let isOver = false
      return Effect.promise(async () => {
        const answer = await Promise.race([ask(name, servers, () => isOver), sleep(maxLookUpMs)])
        isOver = true
        return answer ?? noAnswer
      })
    })
}
