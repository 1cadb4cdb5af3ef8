/** A device's answer to WS-Discovery over real UDP, on the loopback interface. */
import { Effect } from "effect"
import { createSocket } from "node:dgram"

export interface ResponderOptions {
  readonly endpoint: string
  readonly services: string
  readonly scopes: string
}

/** As Hikvision cameras answer. */
export const probeMatches = (
  { endpoint, scopes, services }: ResponderOptions,
  relatesTo: string
): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:wsa="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"><env:Header><wsa:MessageID>urn:uuid:a</wsa:MessageID><wsa:RelatesTo>${relatesTo}</wsa:RelatesTo></env:Header><env:Body><d:ProbeMatches><d:ProbeMatch><wsa:EndpointReference><wsa:Address>${endpoint}</wsa:Address></wsa:EndpointReference><d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types><d:Scopes>${scopes}</d:Scopes><d:XAddrs>${services}</d:XAddrs><d:MetadataVersion>10</d:MetadataVersion></d:ProbeMatch></d:ProbeMatches></env:Body></env:Envelope>`

/** Answers each probe, for as long as the scope; gives its port. @param before datagrams sent first. */
export const make = (options: ResponderOptions, before: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof createSocket>>((resume) => {
      const socket = createSocket("udp4")
      socket.on("message", (datagram, { address, port }) => {
        const id = /MessageID>([^<]*)</.exec(datagram.toString())?.[1] ?? ""
        for (const text of [...before, probeMatches(options, id)]) socket.send(text, port, address)
      })
      socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => socket.close())
  ).pipe(Effect.map((socket) => socket.address().port))
