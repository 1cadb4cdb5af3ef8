/** Authenticates the clients of one connection. */
import { randomBytes } from "node:crypto"
import { challenges, verify } from "../../rtsp/auth/Authentication.ts"
import { header, type Request } from "../../rtsp/message/Message.ts"
import type { ServerResponse } from "./ServerResponse.ts"
import type { Action, PathManager } from "./PathManager.ts"
import type { Quirks } from "./Quirks.ts"

const newNonce = (): string => randomBytes(16).toString("hex")

export class ServerAuth {
  readonly #paths: PathManager
  /** One nonce per connection, as in MediaMTX. */
  #nonce = newNonce()

  constructor(paths: PathManager) {
    this.#paths = paths
  }

  /**
   * The rejection of a request; `undefined` if the request is authorized.
   *
   * @param isFull whether no session is free, so that a correct password is rejected, too.
   */
  authorize(
    request: Request,
    path: string,
    action: Action,
    quirks: Quirks,
    isFull = false
  ): ServerResponse | undefined {
    const required = this.#paths.authentication(path, action)
    if (
      required === undefined ||
      (request.method === "OPTIONS" && quirks.authenticatesOptions !== true)
    ) {
      return undefined
    }
    const realm = required.realm ?? "restream"
    const schemes = required.schemes ?? ["md5"]
    const nonce = this.#nonce
    let verdict = verify({
      authorization: header(request, "authorization"),
      schemes,
      credentials: required,
      realm,
      isCurrent: (given) => given === nonce,
      method: request.method,
      uri: request.uri
    })
    if (verdict === "granted" && quirks.alwaysUnauthorized === true) verdict = "wrong"
    if (quirks.freshNonces === true) this.#nonce = newNonce()
    if (verdict === "granted" && !isFull) return undefined
    if (verdict === "wrong") this.#paths.onAuthenticationFailure(path)
    const offered = challenges({
      schemes,
      realm,
      nonce: this.#nonce,
      qop: required.qop,
      opaque: required.opaque,
      stale: verdict === "stale" && quirks.sendsStale === true
    })
    return {
      status: 401,
      headers: offered.map((challenge) => ["WWW-Authenticate", challenge] as const)
    }
  }
}
