/** Implements `restream snapshot`. Loaded by this command only, because it contains an HTTP client. */
import type { Settings } from "@restream/config"
import { type CameraId, DurationText } from "@restream/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { printBytes, printMessage } from "../process/Output.ts"
import { connect, failOnDaemon, transport } from "./DaemonClient.ts"

/** @param maxAge in seconds. */
export const write = Effect.fnUntraced(function* (settings: Settings, id: string, maxAge: number) {
  if (process.stdout.isTTY === true) {
    return yield* usageFailure([
      `standard output is a terminal; redirect it to a file: restream snapshot ${id} > snapshot.mp4`
    ])
  }
  if (maxAge < 0 || maxAge > 3600) {
    return yield* usageFailure([`--max-age: ${maxAge} is out of range (0 to 3600)`])
  }
  const { baseUrl, client } = yield* connect(settings)
  const failOn = failOnDaemon(baseUrl)
  const toMessage = ({ message }: { readonly message: string }) => Effect.succeed(message)
  const answer = yield* client.cameras
    .picture({
      params: { id: id as CameraId },
      query: { maxAge },
      responseMode: "decoded-and-response"
    })
    .pipe(
      Effect.catchTags({
        CameraNotFound: toMessage,
        NoPicture: toMessage,
        NodeUnreachable: toMessage
      }),
      failOn
    )
  if (typeof answer === "string") {
    return yield* new Failure({ status: exitStatus.problems, lines: [answer] })
  }
  const [stream, response] = answer
  const bytes = Buffer.concat(yield* failOn(Stream.runCollect(stream)))
  const age = (yield* Clock.currentTimeMillis) - Number(response.headers["x-picture-time"])
  // the clocks of two machines may differ slightly
  if (age > (maxAge + 5) * 1000) {
    yield* printMessage(`the picture is ${DurationText.formatElapsed(age)} old`)
  }
  yield* printBytes(bytes)
}, Effect.provide(transport))
