import { settingRows, settings } from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { assertHidden, loaded, markedPassword } from "./Samples.ts"

describe("settingRows", () => {
  it("lists every setting with its value and its origin", () => {
    const rows = settingRows(
      loaded({
        file: {
          name: "restream.yaml",
          text: "database:\n  query: |\n    SELECT id, decrypt(p, 'key', $$x$$)\n      AS password FROM c\ncameraTypes:\n  acme: rtsp://admin:kXq7@{host}\n  b: rtsp://{host}"
        },
        flags: { "probe-retry-delays": "1s,90s,500ms,120 min,24h" },
        env: {
          PG_DSN: "postgres://u:kXq7@h/x",
          RESTREAM_MEDIA_SERVER_USERNAME: "u",
          RESTREAM_MEDIA_SERVER_PASSWORD: "kXq7",
          RESTREAM_LOG_FILE_MAX_SIZE: "16MiB"
        }
      })
    )
    assert.deepStrictEqual(
      rows
        .filter(({ origin }) => origin !== "default")
        .map(({ key, origin, value }) => [key, value, origin]),
      [
        ["database.dsn", "postgres://u@h:5432/x", "PG_DSN"],
        [
          "database.query",
          "SELECT id, decrypt(p, '***', '***') AS password FROM c",
          "restream.yaml:2"
        ],
        ["mediaServer.username", "u", "RESTREAM_MEDIA_SERVER_USERNAME"],
        ["mediaServer.password", "***", "RESTREAM_MEDIA_SERVER_PASSWORD"],
        [
          "probe.retryDelays",
          "1 second, 90 seconds, 500 ms, 2 hours, 1 day",
          "--probe-retry-delays"
        ],
        ["log.fileMaxSize", "16 MiB", "RESTREAM_LOG_FILE_MAX_SIZE"],
        ["cameraTypes", "acme, b", "restream.yaml:5"]
      ]
    )
    assert.deepStrictEqual(
      rows.map(({ key }) => key),
      settings.map(({ key }) => key)
    )
    const file = rows.find(({ key }) => key === "log.file")
    assert.deepStrictEqual([file?.value, file?.origin], ["", "default"])
  })

  it("contains no secret", () => {
    fc.assert(
      fc.property(markedPassword, (password) => {
        const env = {
          PG_DSN: `postgres://u:${encodeURIComponent(password)}@h/x`,
          RESTREAM_MEDIA_SERVER_USERNAME: "u",
          RESTREAM_MEDIA_SERVER_PASSWORD: password
        }
        assertHidden(JSON.stringify(settingRows(loaded({ env }))))
      })
    )
  })
})
