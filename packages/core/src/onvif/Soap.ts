/** SOAP 1.2 messages with a user name token (ONVIF Core Specification §5.9, WS-Security UsernameToken 1.0). Pure. */
import { createHash } from "node:crypto"
import * as Redacted from "effect/Redacted"
import type { Credentials } from "../rtsp/auth/Authentication.ts"
import * as Xml from "./Xml.ts"

const oasis = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"

/** Proves the password without sending it. */
export interface Token {
  readonly credentials: Credentials
  /** Random bytes. */
  readonly nonce: Uint8Array
  /** The time of the device. */
  readonly createdAt: Date
}

/** The digest of a password: Base64(SHA-1(nonce + created + password)). */
const passwordDigest = (nonce: Uint8Array, created: string, password: string): string =>
  createHash("sha1").update(nonce).update(created).update(password).digest("base64")

const security = ({ createdAt, credentials, nonce }: Token): string => {
  const created = createdAt.toISOString()
  const digest = passwordDigest(nonce, created, Redacted.value(credentials.password))
  return (
    `<s:Header><wsse:Security s:mustUnderstand="1" xmlns:wsse="${oasis}-wssecurity-secext-1.0.xsd" xmlns:wsu="${oasis}-wssecurity-utility-1.0.xsd">` +
    `<wsse:UsernameToken><wsse:Username>${Xml.escape(credentials.username)}</wsse:Username>` +
    `<wsse:Password Type="${oasis}-username-token-profile-1.0#PasswordDigest">${digest}</wsse:Password>` +
    `<wsse:Nonce EncodingType="${oasis}-soap-message-security-1.0#Base64Binary">${Buffer.from(nonce).toString("base64")}</wsse:Nonce>` +
    `<wsu:Created>${created}</wsu:Created></wsse:UsernameToken></wsse:Security></s:Header>`
  )
}

/** A request. @param body the element of the operation, as XML. */
export const envelope = (body: string, token?: Token): string =>
  `<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">` +
  `${token === undefined ? "" : security(token)}<s:Body>${body}</s:Body></s:Envelope>`

/** The response of a device. */
export type Reply =
  | { readonly _tag: "Response"; readonly element: Xml.XmlElement }
  | {
      readonly _tag: "Fault"
      /** The local names of the codes, the most general first: `Sender`, `NotAuthorized`. */
      readonly codes: ReadonlyArray<string>
      readonly reason: string
    }
  | { readonly _tag: "NotSoap" }

const codesOf = (code: Xml.XmlElement | undefined): ReadonlyArray<string> => {
  if (code === undefined) return []
  const value = Xml.text(code, "Value")?.replace(/^.*:/s, "")
  return [...(value === undefined ? [] : [value]), ...codesOf(Xml.find(code, "Subcode"))]
}

/** Parses a response of SOAP 1.2; a fault also of SOAP 1.1. */
export const read = (text: string): Reply => {
  const root = Xml.parse(text)
  const [element] = Xml.children(Xml.find(root, "Body"))
  if (root === undefined || Xml.nameOf(root) !== "Envelope" || element === undefined) {
    return { _tag: "NotSoap" }
  }
  if (Xml.nameOf(element) !== "Fault") return { _tag: "Response", element }
  const old = Xml.text(element, "faultcode")?.split(/[:.]/)
  return {
    _tag: "Fault",
    codes: old ?? codesOf(Xml.find(element, "Code")),
    reason: Xml.text(element, "Reason", "Text") ?? Xml.text(element, "faultstring") ?? ""
  }
}

/** Whether a fault refuses the user name and the password. */
export const isRefusal = ({ codes }: Extract<Reply, { _tag: "Fault" }>): boolean =>
  codes.some((code) =>
    ["NotAuthorized", "FailedAuthentication", "FailedCheck", "InvalidSecurityToken"].includes(code)
  )
