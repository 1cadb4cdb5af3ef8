/** A program that relays a camera until it is killed: `orphan-parent CAMERA-URL SERVER-URL`. */
import { NodeServices } from "@effect/platform-node"
import { Effect } from "effect"
import { engine } from "./Engines.ts"
import { job, startRelay } from "../Streams.ts"

const [, , from = "", to = ""] = process.argv

const program = Effect.gen(function* () {
  const ffmpeg = yield* engine()
  const running = yield* startRelay(ffmpeg, job(from, to))
  yield* running.flowing
  console.log("flowing")
  return yield* running.ended
})

Effect.runFork(program.pipe(Effect.scoped, Effect.provide(NodeServices.layer)))
