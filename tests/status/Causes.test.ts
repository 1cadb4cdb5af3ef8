/** Problems of media servers among the causes. */
import { assert, describe, it } from "@effect/vitest"
import { CameraSourceError, type CameraState, Causes, Reason, Unavailable } from "@restream/core"
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

  it("puts first what may explain the rest, then what affects more cameras", () => {
    const unreachable = new Reason.Refused({ authority: "10.0.0.9:554" })
    const down = { _tag: "Unreachable", reason: unreachable, attempt: 1, retryAt: 0 } as const
    const live = {
      _tag: "Live",
      engine: "native",
      offer: { video: { codec: "h264" }, audio: undefined },
      since: 0
    } as const
    const problem = { _tag: "Down", since: 0, detail: "connection refused" } as const
    const server = {
      status: problem,
      api: { _tag: "Off" },
      offlinePaths: new Set<string>()
    } as const
    const error = new CameraSourceError({ reason: new Unavailable({ detail: "no route" }) })
    const waiting = { _tag: "Waiting", for: "media server" } as const
    const causes = Causes.causesOf(
      [
        camera("1", "hall", waiting),
        camera("2", "yard", waiting),
        camera("3", "yard", waiting),
        ...["4", "5", "6"].map((id) => StatusOf.make(id, { state: down, reason: unreachable })),
        camera("7", "roof", live)
      ],
      {
        mediaServers: [
          { ...server, name: "hall" },
          { ...server, name: "yard" },
          {
            name: "roof",
            status: { _tag: "Up", since: 0 },
            api: problem,
            offlinePaths: new Set(["cam7"])
          }
        ],
        source: { _tag: "Down", since: 0, lastSnapshotAt: 0, error },
        cluster: { message: "no right on the table", advice: "Run: grant", since: 0 },
        now: 0
      }
    )
    assert.deepStrictEqual(
      causes.map(({ count, kind }) => [kind, count]),
      [
        ["media-server", 2],
        ["media-server", 1],
        ["database", 0],
        ["cluster", 0],
        ["offline", 1],
        ["Refused", 3],
        ["media-server-api", 0]
      ]
    )
  })
})
