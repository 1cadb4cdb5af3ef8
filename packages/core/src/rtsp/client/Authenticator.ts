/**
 * Responds to the challenges of one connection, and decides when a rejection is final.
 *
 * Cameras lock accounts, so a password is tried once. A 401 to a response is final, unless only the nonce was
 * stale, or the server accepted an earlier response and now names another nonce. Each new nonce allows one more
 * attempt. Requests must be sequential, so that no request uses up another request's nonce.
 */
import { oneLine, redact } from "@restream/config"
import { randomBytes } from "node:crypto"
import { Unauthorized } from "../../camera/Reason.ts"
import {
  answer,
  type Challenge,
  choose,
  type Credentials,
  parseChallenges,
  unsupportedIn
} from "../auth/Authentication.ts"
import { headerValues, type Response } from "../message/Message.ts"
import { type RtspReason } from "./RtspError.ts"

export class Authenticator {
  readonly #credentials: Credentials | undefined
  readonly #secrets: ReadonlyArray<string>
  readonly #refusesBasic: RtspReason | undefined
  #challenge: Challenge | undefined
  #nonceCount = 0
  /** Whether the last response was accepted. */
  #accepted = false
  /** Whether the rejection is final: no further request of this connection carries the password. */
  #refused = false

  /**
   * @param secrets masked in the server's description of its requirements. @param refusesBasic why the credentials
   * must not be sent as plain text; `undefined` if they may be.
   */
  constructor(
    credentials: Credentials | undefined,
    secrets: ReadonlyArray<string> = [],
    refusesBasic?: RtspReason
  ) {
    this.#credentials = credentials
    this.#secrets = secrets
    this.#refusesBasic = refusesBasic
  }

  /** The `Authorization` of a request; `undefined` before the first challenge. */
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

  /** Records that the server accepted a response. */
  onAccepted(): void {
    this.#accepted = true
  }

  /**
   * Handles a 401. Returns `undefined` to send the request again, otherwise the reason for the final rejection.
   *
   * @param answered whether the request carried a response to a challenge.
   */
  onRefused(response: Response, answered: boolean): RtspReason | undefined {
    // after a password change, the keep-alives of a running session must not lock the account
    if (this.#refused) return this.refuse()
    if (this.#credentials === undefined) return new Unauthorized({ credentials: "missing" })
    const before = this.#challenge
    const asked = headerValues(response, "www-authenticate")
    const challenge = choose(parseChallenges(asked))
    if (challenge === undefined) {
      if (answered || asked.length === 0) return this.refuse()
      const requires = oneLine(redact(unsupportedIn(asked), this.#secrets)).slice(0, 200)
      return new Unauthorized({ credentials: "unsupported", requires })
    }
    if (challenge._tag === "Basic" && this.#refusesBasic !== undefined) return this.#refusesBasic
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

  /** Makes the rejection final. */
  refuse(): RtspReason {
    this.#refused = true
    return new Unauthorized({ credentials: "wrong" })
  }
}
