/** Digest access authentication (RFC 7616, RFC 2617): the calculation of a response. */
import { createHash } from "node:crypto"

/** The supported algorithms; with `-sess` the nonces enter the secret (RFC 7616 §3.4.2). */
export type DigestAlgorithm = keyof typeof hashes

/** OpenSSL's names of the hashes. */
const hashes = {
  "SHA-512-256": "sha512-256",
  "SHA-512-256-sess": "sha512-256",
  "SHA-256": "sha256",
  "SHA-256-sess": "sha256",
  MD5: "md5",
  "MD5-sess": "md5"
} as const

const names = Object.keys(hashes) as ReadonlyArray<DigestAlgorithm>

/** Parses the name of an algorithm, case-insensitive; the default is MD5 (RFC 7616 §3.3). */
export const parseAlgorithm = (name: string | undefined): DigestAlgorithm | undefined =>
  name === undefined || name === ""
    ? "MD5"
    : names.find((known) => known.toLowerCase() === name.toLowerCase())

export interface DigestInput {
  readonly algorithm: DigestAlgorithm
  readonly username: string
  readonly password: string
  /** As on the wire, one character per byte. */
  readonly realm: string
  readonly nonce: string
  readonly method: string
  readonly uri: string
  /** `undefined` responds as in RFC 2069: without count and client nonce. */
  readonly qop: "auth" | undefined
  /** The count of requests with this nonce, from 1. */
  readonly nonceCount: number
  readonly cnonce: string
}

/** The nonce count on the wire: eight hexadecimal digits. */
export const renderCount = (nonceCount: number): string =>
  (nonceCount >>> 0).toString(16).padStart(8, "0")

/** Plain text as UTF-8 (RFC 7616 §4), one character per byte. */
export const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

/** The `response` value, in lower-case hexadecimal (RFC 7616 §3.4.1). */
export const response = (input: DigestInput): string => {
  const hash = (text: string): string =>
    createHash(hashes[input.algorithm]).update(text, "latin1").digest("hex")
  const secret = hash(`${bytesOf(input.username)}:${input.realm}:${bytesOf(input.password)}`)
  const a1 = input.algorithm.endsWith("-sess")
    ? hash(`${secret}:${input.nonce}:${input.cnonce}`)
    : secret
  const a2 = hash(`${input.method}:${input.uri}`)
  return input.qop === undefined
    ? hash(`${a1}:${input.nonce}:${a2}`)
    : hash(
        `${a1}:${input.nonce}:${renderCount(input.nonceCount)}:${input.cnonce}:${input.qop}:${a2}`
      )
}
