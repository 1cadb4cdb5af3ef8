import { NativeEngine } from "@restream/core"
import { Effect } from "effect"
import { proberContract } from "../OpenContract.ts"
import { relayContract } from "../PublishContract.ts"

proberContract("NativeProber", {
  make: ({ probeTimeout }) =>
    Effect.succeed(NativeEngine.make({ probeTimeout, checkServer: Effect.succeed(true) }).prober)
})

relayContract("NativeRelay", {
  make: ({ checkServer, stallTimeout }) =>
    Effect.succeed(NativeEngine.make({ stallTimeout, checkServer }).relay)
})
