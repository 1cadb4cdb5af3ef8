/** Problems of media servers among the causes. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraState, Causes, Reason } from "@restream/core"
import * as StatusOf from "../kit/CameraStatus.ts"

const lost = new Reason.ServerGone({ detail: "connection closed" })

const camera = (id: string, mediaServer: string, state: CameraState.CameraState) => {
  const reason = state._tag === "Restarting" ? state.reason : undefined
  return StatusOf.make(id, { mediaServer, reason, state })
}

describe("causesOf", () => {
  it("groups and names the problems of a media server by the server, without the host of cameras", () => {
    const ended = { _tag: "Restarting", reason: lost, at: 0 } as const
    const waiting = { _tag: "Waiting", for: "media server" } as const
    const causes = Causes.causesOf(
      [
        camera("1", "hall", waiting),
        camera("2", "yard", ended),
        camera("3", "yard", ended),
        camera("4", "roof", ended)
      ],
      {
        mediaServers: (["hall", "yard", "roof"] as const).map((name) => ({
          name,
          status:
            name === "hall"
              ? { _tag: "Down", since: 0, detail: "connection refused" }
              : { _tag: "Up", since: 0 },
          api: { _tag: "Off" },
          offlinePaths: new Set()
        })),
        source: { _tag: "Up", lastSnapshotAt: 0 },
        now: 0
      }
    )
    assert.deepStrictEqual(
      causes.map(({ count, host, message }) => [message, count, host]),
      [
        ["media server hall is unreachable: connection refused", 1, undefined],
        ["lost media server yard: connection closed", 2, undefined],
        ["lost media server roof: connection closed", 1, undefined]
      ]
    )
  })
})
