/**
 * Answers the challenges of one connection, and knows when a refusal is final.
 *
 * Cameras lock accounts, so a password is tried once: a 401 to an answer is final, unless the server says
 * that only the nonce was too old, or had accepted us before and now names another nonce. Each new nonce
 * is worth one more try. Requests go one after the other, so that none takes a nonce which another one used
 * up for a refusal.
 */
import { randomBytes } from "node:crypto"
import { Unauthorized, Unsupported } from "../../camera/Reason.ts"
import {
  answer,
  type Challenge,
  choose,
  type Credentials,
  parseChallenges
} from "../auth/Authentication.ts"
import { headerValues, type Response } from "../message/Message.ts"
import { type RtspReason } from "./RtspError.ts"

export class Authenticator {
  readonly #credentials: Credentials | undefined
  #challenge: Challenge | undefined
  #nonceCount = 0
  /** Whether our last answer was accepted. */
  #accepted = false
  /** Whether the password was refused for good: no request of this connection carries it again. */
  #refused = false

  constructor(credentials: Credentials | undefined) {
    this.#credentials = credentials
  }

  /** The `Authorization` of a request; `undefined` as long as nobody asked. */
  authorize(method: string, uri: string): string | undefined {
    if (this.#challenge === undefined || this.#credentials === undefined || this.#refused) {
      return undefined
    }
    return answer({
      challenge: this.#challenge,
      credentials: this.#credentials,
      method,
      uri,
      nonceCount: ++this.#nonceCount,
      cnonce: randomBytes(8).toString("hex")
    })
  }

  /** An answer of ours was good. */
  onAccepted(): void {
    this.#accepted = true
  }

  /**
   * Takes a 401. `undefined`: the request is worth sending again; else why it is not.
   *
   * @param answered whether the request carried an answer of ours.
   */
  onRefused(response: Response, answered: boolean): RtspReason | undefined {
    // a session goes on while its password is changed: its keep-alives must not lock the account
    if (this.#refused) return this.refuse()
    if (this.#credentials === undefined) return new Unauthorized({ credentials: "missing" })
    const before = this.#challenge
    const asked = headerValues(response, "www-authenticate")
    const challenge = choose(parseChallenges(asked))
    if (challenge === undefined) {
      return answered || asked.length === 0
        ? this.refuse()
        : new Unsupported({ what: "authentication scheme other than Basic and Digest" })
    }
    if (answered) {
      const isNew =
        challenge._tag === "Digest" &&
        (before?._tag !== "Digest" || challenge.nonce !== before.nonce)
      const isStale = challenge._tag === "Digest" && challenge.stale
      if (!isNew || !(isStale || this.#accepted)) return this.refuse()
      this.#accepted = false
    }
    this.#challenge = challenge
    this.#nonceCount = 0
    return undefined
  }

  /** The password is refused for good: no request carries it any more. */
  refuse(): RtspReason {
    this.#refused = true
    return new Unauthorized({ credentials: "wrong" })
  }
}
