import { assert, describe, it } from "@effect/vitest"
import { parseTableName } from "@restream/config"

describe("parseTableName", () => {
  it.each([
    ["cameras", undefined, "cameras"],
    ["Cameras", undefined, "cameras"],
    ["video.cameras", "video", "cameras"],
    ['"Video"."Main ""Cams"""', "Video", 'Main "Cams"'],
    ["kameras_ß$1", undefined, "kameras_ß$1"],
    [" video . cameras ", "video", "cameras"]
  ] as const)("parses %j", (text, schema, name) => {
    assert.deepStrictEqual(parseTableName(text), { schema, name })
  })

  it.each([
    "",
    "a.b.c",
    "1cams",
    "cams;drop table x",
    "a b",
    '"',
    'a."b',
    "a.",
    "--",
    "x".repeat(64),
    '"\0"'
  ])("rejects %j", (text) => {
    assert.isUndefined(parseTableName(text))
  })
})
