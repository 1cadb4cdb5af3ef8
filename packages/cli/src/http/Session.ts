/** `POST /api/session`: exchanges the token for a cookie, because EventSource sends no headers. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { Monotonic } from "@restream/core"
import type { Guard } from "./Guard.ts"

const Credentials = Schema.Struct({ token: Schema.String })

const refuse = (status: number, message: string) =>
  HttpServerResponse.jsonUnsafe({ message }, { status })

export const route = (guard: Guard) =>
  HttpRouter.add(
    "POST",
    "/api/session",
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { session } = guard
      if (session === undefined) return HttpServerResponse.empty({ status: 204 })
      if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
        return refuse(415, "the content type must be application/json")
      }
      const body = yield* Effect.option(HttpServerRequest.schemaBodyJson(Credentials))
      if (Option.isNone(body)) return refuse(400, 'the body must be {"token": "…"}')
      const address = Option.getOrElse(request.remoteAddress, () => "")
      const refusal = guard.checkToken(body.value.token, address, yield* Monotonic.now)
      if (refusal !== undefined) return refuse(refusal.status, refusal.message)
      return HttpServerResponse.setCookieUnsafe(
        HttpServerResponse.empty({ status: 204 }),
        session.name,
        session.value,
        {
          httpOnly: true,
          sameSite: "strict",
          path: "/",
          // by the browser's Origin header; headers of a proxy are not trusted
          secure: (request.headers["origin"] ?? "").startsWith("https://")
        }
      )
    })
  )
