/** Adds the token of `http.token` to the requests of a client. */
import * as Redacted from "effect/Redacted"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"

/** A client that sends the token with each request. @param token `undefined`: none is required. */
export const withToken = <E, R>(
  client: HttpClient.HttpClient.With<E, R>,
  token: Redacted.Redacted | undefined
): HttpClient.HttpClient.With<E, R> =>
  token === undefined
    ? client
    : HttpClient.mapRequest(client, HttpClientRequest.bearerToken(Redacted.value(token)))
