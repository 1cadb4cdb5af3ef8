import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"

const script = new URL("../../start.sh", import.meta.url).pathname

/** Runs start.sh in a checkout that is installed and built, with the given environment only. */
const start = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) =>
  spawnSync("/bin/sh", [script, ...args], { env, cwd: "/", encoding: "utf8" })

describe("start.sh", () => {
  it("runs the daemon without PATH, and passes its arguments and exit status on", () => {
    const { status, stderr } = start(["--media-server-scheme", "http"], {
      PG_DSN: "postgres://nobody@127.0.0.1:1/none"
    })
    assert.match(stderr, /mediaServer\.scheme.*rtsp, rtsps/)
    assert.strictEqual(status, 2)
  })

  it("names the setting to change if no database is set", () => {
    const { status, stderr } = start([], { PATH: "/nonexistent" })
    assert.match(stderr, /database\.dsn.*PG_DSN/)
    assert.strictEqual(status, 2)
  })
})
