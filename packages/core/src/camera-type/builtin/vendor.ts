/** The columns that the vendors' camera types share, and the address that they make of them. */
import * as Schema from "effect/Schema"
import { StreamUrl } from "../../camera/StreamUrl.ts"
import * as Column from "../Column.ts"

export const vendorColumns = {
  host: Column.host,
  /** Default 554. */
  port: Schema.optional(Column.port),
  username: Schema.optional(Column.text),
  password: Schema.optional(Column.secret),
  /** The camera's input, counted from 1. Default 1. */
  channel: Schema.optional(Column.ordinal),
  /** `main` (default), `sub`, or the vendor's own number for the stream. */
  stream: Schema.optional(Column.text)
} as const

type VendorColumns = Schema.Struct<typeof vendorColumns>["Type"]

/** The address of a path on the row's host, with the row's credentials. */
export const vendorUrl = (columns: VendorColumns, target: string): StreamUrl =>
  new StreamUrl({
    scheme: "rtsp",
    host: columns.host,
    port: columns.port,
    username: columns.username,
    password: columns.password,
    target
  })

/** The number that a vendor gives a stream: its names are `main`, `sub` and `third`. */
export const streamNumber = (stream: string | undefined, main: number): number | undefined => {
  const name = stream?.trim().toLowerCase() ?? "main"
  const rank = ["main", "sub", "third"].indexOf(name)
  if (rank !== -1) return main + rank
  return /^\d{1,2}$/.test(name) ? Number(name) : undefined
}
