/** Problems of media servers among the causes. */
import { assert, describe, it } from "@effect/vitest"
import { type CameraId, type CameraStatus, Causes, OperatorView, Reason } from "@restream/core"

const lost = new Reason.ServerGone({ detail: "connection closed" })

const camera = (id: string, mediaServer: string, state: CameraStatus["state"]): CameraStatus => {
  const reason = state._tag === "Restarting" ? state.reason : undefined
  return {
    id: id as CameraId,
    name: `Camera ${id}`,
    type: "url",
    path: `cam${id}`,
    mediaServer,
    address: "rtsp://10.0.0.9:554/live",
    host: "10.0.0.9:554",
    state,
    problem: reason?.message,
    enteredAt: 0,
    restarts: { total: 0, lastHour: 0 },
    stalls: { total: 0, lastHour: 0 },
    health: "good",
    counters: { bytes: 0, packets: 0, lost: 0, dropped: 0, lastVideoAt: undefined },
    word: OperatorView.wordOf(state, reason),
    since: 0,
    reason,
    engine: undefined,
    offer: undefined,
    probeMs: undefined,
    totals: { bytes: 0, packets: 0, lost: 0, dropped: 0 },
    lastVideoAt: undefined,
    revision: 0
  }
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
