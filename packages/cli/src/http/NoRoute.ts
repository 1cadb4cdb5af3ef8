/** The response to a request without a matching route. */
import { Api } from "@restream/core/http"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApi from "effect/http-api/HttpApi"

interface Known {
  readonly path: RegExp
  readonly method: string
}

const known: Array<Known> = [{ path: /^\/api\/session$/, method: "POST" }]
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint }) => {
    const path = new RegExp(`^${endpoint.path.replaceAll(/:[a-z]+/g, "[^/]+")}$`)
    known.push({ path, method: endpoint.method })
  }
})

/** 405 if the path supports another method, otherwise 404. @param path without the query. */
export const noRoute = (method: string, path: string): HttpServerResponse.HttpServerResponse => {
  const methods = known
    .filter((one) => one.path.test(path))
    .flatMap((one) => (one.method === "GET" ? ["GET", "HEAD"] : [one.method]))
  // a path with a malformed percent-encoding
  if (methods.length === 0 || methods.includes(method)) {
    return HttpServerResponse.jsonUnsafe({ message: "no such page" }, { status: 404 })
  }
  const allow = methods.join(", ")
  return HttpServerResponse.jsonUnsafe(
    { message: `this path does not take ${method}, but ${allow}` },
    { status: 405, headers: { allow } }
  )
}
