/**
 * Finds ONVIF devices in the local networks (WS-Discovery 2005/04, ONVIF Core Specification §7).
 *
 * Any host in the network can respond, with any text, so the results are only proposals to an operator.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import { createSocket, type Socket } from "node:dgram"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { randomUUID } from "node:crypto"
import { oneLine } from "@restream/config"
import * as Xml from "./Xml.ts"

/** A device that responded. */
export interface FoundDevice {
  /** The endpoint reference, which stays when the address changes: `urn:uuid:…`. */
  readonly endpoint: string
  /** The IP address from which the device responded. */
  readonly host: string
  /** The port of its ONVIF service. */
  readonly port: number
  /** All addresses that the device names, and the one from which it responded. */
  readonly addresses: ReadonlyArray<string>
  /** By the device, such as `Front door`; may be empty. */
  readonly name: string
  /** The model, by the device; may be empty. */
  readonly hardware: string
}

/** Where a probe is sent. */
export interface Target {
  readonly host: string
  readonly port: number
}

export interface DiscoverOptions {
  /** How long responses are awaited. */
  readonly timeout: Duration.Input
  /**
   * Where the probe is sent instead of the multicast group of each network: for a network that does not carry
   * multicast.
   */
  readonly targets?: ReadonlyArray<Target> | undefined
}

/** No probe could be sent. */
export class DiscoveryError extends Data.TaggedError("DiscoveryError")<{
  readonly message: string
}> {}

const multicast: Target = { host: "239.255.255.250", port: 3702 }

/** The delays at which the probe is sent; repeated because a datagram may be lost. */
const sendings = ["0 millis", "300 millis", "900 millis"] as const

/** Further devices are not listed: a malicious host may invent them. */
const maxDevices = 10_000

const addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
const discovery = "http://schemas.xmlsoap.org/ws/2005/04/discovery"

/** The question for all devices that transmit video. */
export const probe = (messageId: string): string =>
  `<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:w="${addressing}" xmlns:d="${discovery}" xmlns:dn="http://www.onvif.org/ver10/network/wsdl">` +
  `<e:Header><w:MessageID>${messageId}</w:MessageID><w:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</w:To><w:Action>${discovery}/Probe</w:Action></e:Header>` +
  `<e:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></e:Body></e:Envelope>`

/** A value of a scope such as `onvif://www.onvif.org/name/Front%20door`. */
const scopeOf = (scopes: string, name: string): string => {
  const value = new RegExp(`onvif://www\\.onvif\\.org/${name}/(\\S+)`, "i").exec(scopes)?.[1] ?? ""
  try {
    return oneLine(decodeURIComponent(value)).slice(0, 100)
  } catch {
    return oneLine(value).slice(0, 100)
  }
}

/**
 * Parses a response. @param from the IP address of the sender. @param messageId of the probe: responses to other
 * probes are ignored.
 */
export const devicesOf = (
  datagram: string,
  from: string,
  messageId: string
): ReadonlyArray<FoundDevice> => {
  const root = Xml.parse(datagram)
  const relatesTo = Xml.text(root, "Header", "RelatesTo")
  if (relatesTo !== undefined && !relatesTo.endsWith(messageId.replace(/^.*:/, ""))) return []
  const body = Xml.find(root, "Body")
  const matches = [
    ...Xml.children(Xml.find(body, "ProbeMatches"), "ProbeMatch"),
    // ipycam 1.3.0 leaves the list out
    ...Xml.children(body, "ProbeMatch")
  ]
  return matches.flatMap((match) => {
    const endpoint = Xml.text(match, "EndpointReference", "Address")
    if (endpoint === undefined || !/^[\w:.-]{1,128}$/.test(endpoint)) return []
    const services = (Xml.text(match, "XAddrs") ?? "").split(/\s+/).flatMap((text) => {
      const url = URL.parse(text)
      return url?.protocol === "http:" && isIP(url.hostname.replaceAll(/[[\]]/g, "")) !== 0
        ? [{ host: url.hostname.replaceAll(/[[\]]/g, ""), port: Number(url.port) || 80 }]
        : []
    })
    const service = services.find(({ host }) => host === from) ?? services[0]
    const scopes = Xml.text(match, "Scopes") ?? ""
    return [
      {
        endpoint,
        host: from,
        port: service?.port ?? 80,
        addresses: [...new Set([from, ...services.map(({ host }) => host)])],
        name: scopeOf(scopes, "name"),
        hardware: scopeOf(scopes, "hardware")
      }
    ]
  })
}

/** The IPv4 addresses of this machine's networks. */
const localAddresses = (): ReadonlyArray<string> =>
  Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.flatMap(({ address, family, internal }) =>
      family === "IPv4" && !internal ? [address] : []
    )
  )

/** A socket in one network, for as long as the scope. A network that cannot be used is skipped. */
const open = (
  local: string | undefined,
  onMessage: (datagram: Buffer, from: string) => void
): Effect.Effect<Socket | undefined, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => createSocket("udp4")),
      (socket) => Effect.sync(() => socket.close())
    ),
    (socket) =>
      Effect.callback<Socket | undefined>((resume) => {
        socket.on("message", (datagram, { address }) => onMessage(datagram, address))
        socket.on("error", () => resume(Effect.undefined))
        socket.bind({ port: 0, ...(local !== undefined && { address: local }) }, () => {
          try {
            if (local !== undefined) socket.setMulticastInterface(local)
            resume(Effect.succeed(socket))
          } catch {
            resume(Effect.undefined)
          }
        })
      })
  )

/** The devices that respond in time, by their addresses. IPv4 only. */
export const discover = Effect.fnUntraced(function* ({
  targets,
  timeout
}: DiscoverOptions): Effect.fn.Return<ReadonlyArray<FoundDevice>, DiscoveryError, Scope.Scope> {
  const messageId = `urn:uuid:${randomUUID()}`
  const found = new Map<string, FoundDevice>()
  const onMessage = (datagram: Buffer, from: string) => {
    for (const device of devicesOf(datagram.toString("utf8"), from, messageId)) {
      const key = `${device.endpoint} ${device.host}`
      if (found.size < maxDevices && !found.has(key)) found.set(key, device)
    }
  }
  const locals = targets === undefined ? localAddresses() : [undefined]
  const sockets = (yield* Effect.forEach(locals, (local) => open(local, onMessage))).filter(
    (socket) => socket !== undefined
  )
  if (sockets.length === 0) {
    return yield* new DiscoveryError({
      message: "this machine has no network with an IPv4 address"
    })
  }
  const question = Buffer.from(probe(messageId))
  const send = Effect.sync(() => {
    for (const socket of sockets) {
      for (const { host, port } of targets ?? [multicast]) {
        // errors are ignored: the probe is sent several times
        socket.send(question, port, host, () => {})
      }
    }
  })
  for (const delay of sendings) yield* Effect.forkScoped(Effect.delay(send, delay))
  yield* Effect.sleep(timeout)
  return [...found.values()].sort((a, b) => byAddress.compare(a.host, b.host))
})

const byAddress = new Intl.Collator("en", { numeric: true })
