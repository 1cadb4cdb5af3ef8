/** Each recipe of docs/recipes.md gives the cameras that the document shows, on a real PostgreSQL. */
import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { load } from "@restream/config"
import {
  type Camera,
  CameraTypes,
  type InvalidCamera,
  knownColumns,
  PgCameraSource,
  Restream
} from "@restream/core"
import { Effect, Result } from "effect"
import { readFileSync } from "node:fs"
import { client, freshDatabase, Postgres } from "../kit/Postgres.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const text = readFileSync(new URL("../../docs/recipes.md", import.meta.url), "utf8")

const recipes = text
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const block = (language: string) =>
      new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(section)?.[1] ?? ""
    return {
      title: section.slice(0, section.indexOf("\n")),
      schema: block("sql"),
      settings: block("yaml"),
      cameras: block("text")
    }
  })

/** The time of the schedule: a Friday at 23:30 in Berlin. */
const aFriday = "timestamptz '2026-11-27 22:30Z'"

/** A camera as the document shows it. Options only where the document shows them. */
const lineOf = (camera: Camera | InvalidCamera, shown: string): string => {
  if (camera._tag === "InvalidCamera") return `${camera.id} invalid: ${camera.problem}`
  const { audio, transport } = camera.options
  const options = shown.includes("transport") ? ` audio ${audio}, transport ${transport}` : ""
  return `${camera.id} ${camera.path} ${String(camera.url)}${options}`
}

layer(Postgres.layer, { excludeTestServices: true, timeout: "30 seconds" })(
  "docs/recipes.md",
  (it) => {
    for (const { cameras, schema, settings: file, title } of recipes) {
      it.effect(title, () =>
        Effect.gen(function* () {
          const sql = yield* client(yield* freshDatabase)
          for (const statement of schema.split(/;\s*$/m)) {
            if (statement.trim() !== "") yield* sql.unsafe(statement)
          }
          const { settings } = Result.getOrThrow(
            load({ file: { name: "restream.yaml", text: file } })
          )
          const query = Restream.cameraQuery(settings).replaceAll("now()", aFriday)
          const { rows } = yield* PgCameraSource.fetchRows(query, knownColumns(settings, [])).pipe(
            Effect.provideService(PgClient.PgClient, sql)
          )
          const decode = makeDecoder({
            types: CameraTypes.withTemplates(settings.cameraTypes),
            pathTemplate: settings.mediaServer.pathTemplate,
            defaults: { ...settings.camera, fingerprint: undefined }
          })
          const set = decode(rows)
          const lines = [
            ...[...set.cameras.values()].map((camera) => lineOf(camera, cameras)),
            ...[...set.disabled.keys()].map((id) => `${id} disabled`)
          ]
          assert.deepStrictEqual(
            lines.sort(),
            cameras
              .trimEnd()
              .split("\n")
              .map((line) => line.replaceAll(/ {2,}/g, " "))
              .sort()
          )
        })
      )
    }

    it("has the recipes that a search finds", () => {
      assert.isAtLeast(recipes.length, 8)
    })
  }
)
