/** What `restream check` prints. */
import { type Camera, CameraState, type Check, type InvalidCamera } from "@restream/core"
import * as Duration from "effect/Duration"
import { table } from "../text/Table.ts"

export const isWrong = (result: Check.CheckResult): boolean => result._tag !== "Answered"

/** The results in the order of the cameras, not of their answers. */
export const inOrder = (
  cameras: ReadonlyArray<Camera | InvalidCamera>,
  results: ReadonlyArray<Check.CheckResult>
): ReadonlyArray<Check.CheckResult> => {
  const byId = new Map(results.map((result) => [result.camera.id, result]))
  return cameras.flatMap(({ id }) => byId.get(id) ?? [])
}

const stateOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return "ok"
    case "Unreachable":
      return "unreachable"
    case "Invalid":
      return "invalid"
  }
}

/** What is wrong, or what an operator may want to know of a camera that is only fair. */
const reasonOf = (result: Check.CheckResult): string => {
  switch (result._tag) {
    case "Answered":
      return result.offer.audio?.copyable === false
        ? "its sound can't be passed on as it is"
        : result.health === "fair"
          ? "it answers slowly"
          : ""
    case "Unreachable":
      return result.reason.message
    case "Invalid":
      return result.problem
  }
}

const seconds = (duration: Duration.Duration): string =>
  `${(Duration.toMillis(duration) / 1000).toFixed(2)} s`

/** The table for people: what is wrong stands in the last column. */
export const checkTable = (results: ReadonlyArray<Check.CheckResult>): string => {
  const heading = ["ID", "CAMERA", "TYPE", "STATE", "HEALTH", "VIDEO", "AUDIO", "TIME", "REASON"]
  const rows = results.map((result) => {
    const offer = result._tag === "Answered" ? result.offer : undefined
    return [
      result.camera.id,
      result.camera.name,
      result.camera.type,
      stateOf(result),
      result.health,
      offer === undefined ? "" : CameraState.describeVideo(offer.video),
      offer === undefined ? "" : (offer.audio?.codec ?? "none"),
      result._tag === "Invalid" ? "" : seconds(result.took),
      reasonOf(result)
    ]
  })
  return table([heading, ...rows], 32)
}

/** The document for machines. */
export const checkJson = (results: ReadonlyArray<Check.CheckResult>, disabled: number) => ({
  total: results.length,
  ok: results.filter((result) => !isWrong(result)).length,
  wrong: results.filter(isWrong).length,
  disabled,
  cameras: results.map((result) => {
    const offer = result._tag === "Answered" ? result.offer : undefined
    return {
      id: result.camera.id,
      name: result.camera.name,
      type: result.camera.type,
      address: result.camera._tag === "Camera" ? String(result.camera.url) : null,
      path: result.camera._tag === "Camera" ? result.camera.path : null,
      state: stateOf(result),
      health: result.health,
      engine: result._tag === "Answered" ? result.engine : null,
      video: offer?.video ?? null,
      audio: offer?.audio ?? null,
      tookMs: Math.round(Duration.toMillis(result.took)),
      reason:
        result._tag === "Unreachable"
          ? { code: result.reason._tag, message: result.reason.message }
          : result._tag === "Invalid"
            ? { code: "Invalid", message: result.problem }
            : null
    }
  })
})
