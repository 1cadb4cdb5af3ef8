/** `/docs`: the API's documentation as a page without external resources. */
import { Api } from "@restream/core/http"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as HttpApiSwagger from "effect/http-api/HttpApiSwagger"
import { createHash } from "node:crypto"

const path = "/docs"

/** Loads the 2 MB of the page at the first request only. */
export const route = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const page = yield* Effect.cached(
      Effect.flatMap(HttpRouter.toHttpEffect(HttpApiSwagger.layer(Api, { path })), (page) => page)
    )
    yield* router.add("GET", path, Effect.map(page, withPolicy))
  })
)

/** The page contains its styles and one script; the policy allows the script by its hash. */
const withPolicy = (
  response: HttpServerResponse.HttpServerResponse
): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  const html = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
  const start = html.lastIndexOf("<script>") + "<script>".length
  const script = html.slice(start, html.lastIndexOf("</script>"))
  const hash = createHash("sha256").update(script).digest("base64")
  return HttpServerResponse.setHeader(
    response,
    "content-security-policy",
    `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
  )
}
