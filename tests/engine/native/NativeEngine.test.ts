import { NativeEngine } from "@restream/core"
import { Effect } from "effect"
import { openContract } from "../OpenContract.ts"
import { publishContract } from "../PublishContract.ts"

openContract("the native engine", {
  onGarbage: "ProtocolError",
  make: (options) => Effect.succeed(NativeEngine.make(options))
})

publishContract("the native engine", {
  make: (options) => Effect.succeed(NativeEngine.make(options))
})
