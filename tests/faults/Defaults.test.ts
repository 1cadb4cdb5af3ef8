/** What is shortened elsewhere in this folder, as it is by default. */
import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "@restream/config"
import { Duration } from "effect"
import * as Tree from "../kit/Tree.ts"

describe("the defaults", () => {
  it("are those of the tests in virtual time", () => {
    const { probe, relay } = defaultSettings
    const { restart, retry } = Tree.options
    const seconds = (durations: ReadonlyArray<Duration.Duration>) =>
      durations.map((duration) => Duration.toSeconds(duration))
    assert.deepStrictEqual(seconds(retry.delays), seconds(probe.retryDelays))
    assert.deepStrictEqual(
      seconds([retry.lockoutDelay, retry.rejectedDelay, restart.delay, restart.maxDelay]),
      seconds([probe.lockoutDelay, relay.rejectedDelay, relay.restartDelay, relay.restartMaxDelay])
    )
    assert.strictEqual(restart.backoff, relay.restartBackoff)
  })

  it("restart a frozen camera after 10 s and 5 s, and poll the database every 10 s", () => {
    const { database, mediaServer, relay } = defaultSettings
    assert.strictEqual(Duration.toSeconds(relay.stallTimeout), 10)
    assert.strictEqual(Duration.toSeconds(relay.restartDelay), 5)
    assert.strictEqual(Duration.toSeconds(database.pollInterval), 10)
    assert.strictEqual(Duration.toSeconds(database.queryTimeout), 10)
    assert.strictEqual(Duration.toSeconds(mediaServer.checkInterval), 5)
  })
})
