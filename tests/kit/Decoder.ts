/** Decodes rows at once, in tests without a fiber. */
import { type CameraRow, makeDecoder as make } from "@restream/core"
import { Effect } from "effect"

export const makeDecoder = (options: Parameters<typeof make>[0]) => {
  const decode = make(options)
  return (rows: ReadonlyArray<CameraRow>) => Effect.runSync(decode(rows))
}
