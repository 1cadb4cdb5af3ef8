/** A name server on a real socket that answers as a test tells it to, or not at all. */
import { createSocket } from "node:dgram"
import { Effect } from "effect"

/** The addresses of a name, `"nxdomain"`, `"servfail"`, or `undefined` for no answer. */
export type Said = ReadonlyArray<string> | "nxdomain" | "servfail" | undefined

const codes = { servfail: 2, nxdomain: 3 } as const

/** The response to a query with one question (RFC 1035 §4.1). */
const response = (query: Buffer, answers: ReadonlyArray<string>, code: number): Buffer => {
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(answers.length, 6)
  header.writeUInt32BE(0, 8)
  let end = 12
  while ((query[end] ?? 0) !== 0) end += 1 + (query[end] ?? 0)
  const question = query.subarray(12, end + 5)
  const records = answers.map((address) =>
    // the question's name, type A, class IN, a time to live of 60 s, 4 bytes
    Buffer.concat([
      Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]),
      Buffer.from(address.split(".").map(Number))
    ])
  )
  return Buffer.concat([header, question, ...records])
}

const nameIn = (query: Buffer): string => {
  const labels: Array<string> = []
  for (let at = 12; (query[at] ?? 0) !== 0; at += 1 + (query[at] ?? 0)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + (query[at] ?? 0)))
  }
  return labels.join(".").toLowerCase()
}

/** Whether the query asks for an IPv4 address. */
const asksForA = (query: Buffer): boolean => {
  let end = 12
  while ((query[end] ?? 0) !== 0) end += 1 + (query[end] ?? 0)
  return query.readUInt16BE(end + 1) === 1
}

/** A name server in the scope. */
export const make = (answers: (name: string) => Said) =>
  Effect.acquireRelease(
    Effect.callback<{
      /** `address:port` */
      readonly server: string
      /** The names that were asked for, one entry per query. */
      readonly asked: ReadonlyArray<string>
      readonly close: () => void
    }>((resume) => {
      const asked: Array<string> = []
      const socket = createSocket("udp4")
      socket.on("message", (query, { address, port }) => {
        const name = nameIn(query)
        asked.push(name)
        const said = answers(name)
        if (said === undefined) return
        const isCode = said === "nxdomain" || said === "servfail"
        const records = isCode || !asksForA(query) ? [] : said
        socket.send(response(query, records, isCode ? codes[said] : 0), port, address)
      })
      socket.bind(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            server: `127.0.0.1:${socket.address().port}`,
            asked,
            close: () => socket.close()
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  )
