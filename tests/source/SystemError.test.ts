import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { PgClient } from "@effect/sql-pg"
import { PgCameraSource } from "@restream/core"

const messageFor = (url: string) =>
  PgCameraSource.fetchRows("select 1 as id").pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
    Effect.flip,
    Effect.map(({ message }) => message)
  )

describe("system errors of the database's socket", () => {
  it.live("name the address that refuses the connection", () =>
    Effect.map(messageFor("postgres://a:b@127.0.0.1:1/cameras"), (message) =>
      assert.strictEqual(message, "connection refused by 127.0.0.1:1")
    )
  )

  it.live("name the host that does not resolve, and the setting", () =>
    Effect.map(messageFor("postgres://a:b@db.invalid:5432/cameras"), (message) =>
      assert.strictEqual(
        message,
        'cannot resolve database host "db.invalid" (PG_DSN): no such host'
      )
    )
  )
})
