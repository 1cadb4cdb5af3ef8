import { assert, describe, it, vi } from "@effect/vitest"
import { type CameraId, type CameraRow, CameraTypes, StreamUrl, UrlTemplate } from "@restream/core"
import { Redacted } from "effect"
import * as fc from "fast-check"
import { options } from "../kit/Tree.ts"
import { makeDecoder } from "../kit/Decoder.ts"

const reader = (pathTemplate = "cam{id}") =>
  makeDecoder({ types: CameraTypes.make(), pathTemplate, defaults: options.defaults })

const read = (...rows: ReadonlyArray<CameraRow>) => reader()(rows)

const url = "rtsp://10.0.0.5/live"

const problemOf = (row: CameraRow): string => {
  const [camera] = read(row).cameras.values()
  return camera?._tag === "InvalidCamera" ? camera.problem : `${camera?._tag}`
}

describe("DesiredCameras", () => {
  it("reads a row with nothing but an id and an address", () => {
    const [camera] = read({ id: 7, url }).cameras.values()
    assert.strictEqual(camera?._tag, "Camera")
    assert.strictEqual(camera?.id, "7")
    assert.strictEqual(camera?.name, "7")
    assert.strictEqual(camera?.type, "url")
    assert.strictEqual(camera?._tag === "Camera" ? `${camera.path}` : undefined, "cam7")
    assert.deepStrictEqual(camera?._tag === "Camera" && camera.options, options.defaults)
  })

  it("takes ids of any type", () => {
    const set = read({ id: 1, url }, { id: 2n, url }, { id: "9f2c", url }, { id: true, url })
    assert.sameMembers([...set.cameras.keys()], ["1", "2", "9f2c", "true"])
    const rest = read(
      { id: new Date("2026-01-02T03:04:05Z"), url, path: "a" },
      { id: ["de", 4], url, path: "b" },
      { id: { site: "nord" }, url, path: "c" }
    )
    assert.sameMembers(
      [...rest.cameras.values()].map(({ _tag, id }) => `${_tag} ${id}`),
      ["Camera 2026-01-02T03:04:05.000Z", 'Camera ["de",4]', 'Camera {"site":"nord"}']
    )
  })

  it("rejects an id that has no visible character", () => {
    for (const id of [new Date(Number.NaN), [1n], () => 1]) {
      assert.include(problemOf({ id, url }), "column id has no text that shows it")
    }
  })

  it("takes options in every spelling that the settings take, and JSON as text", () => {
    for (const given of [
      { engine: "FFmpeg", wallclock: "yes", insecure: 1, audio: " AUTO " },
      '{"engine": "ffmpeg", "wallclock": "on", "insecure": true}'
    ]) {
      const [camera] = read({ id: 1, url, options: given }).cameras.values()
      assert.deepStrictEqual(camera?._tag === "Camera" && camera.options, {
        ...options.defaults,
        engine: "ffmpeg",
        wallclock: true,
        insecure: true
      })
    }
  })

  it("puts the row's options over the defaults", () => {
    const [camera] = read({ id: 1, url, options: { audio: "drop", engine: null } }).cameras.values()
    assert.deepStrictEqual(camera?._tag === "Camera" && camera.options, {
      ...options.defaults,
      audio: "drop"
    })
  })

  for (const [what, row, problem] of [
    [
      "an unknown option",
      { options: { enigne: "ffmpeg" } },
      "column options: unknown key enigne; did you mean engine?"
    ],
    [
      "a wrong option",
      { options: { audio: "loud" } },
      'column options.audio: "loud" is not one of auto, copy, aac, opus, drop'
    ],
    [
      "a wrong flag",
      { options: { wallclock: "perhaps" } },
      'column options.wallclock: "perhaps" is not true or false'
    ],
    [
      "a wrong fingerprint",
      { options: { fingerprint: "ab" } },
      'column options.fingerprint: "ab" is not a SHA-256 fingerprint (32 bytes in hexadecimal, with or without colons)'
    ],
    [
      "options that are no object",
      { options: 5 },
      'column options: the value is not a JSON object such as {"audio": "drop"}'
    ],
    [
      "options that are a list",
      { options: "[1]" },
      'column options: the value is not a JSON object such as {"audio": "drop"}'
    ],
    [
      "a column of another kind",
      { type: "dahua", host: "h", port: {}, channel: ["1"], username: {} },
      "column port: expected a text, a number or a boolean; column username: expected a text, a number or a boolean; " +
        "column channel: expected a text, a number or a boolean"
    ],
    [
      "an unknown type",
      { type: "hikvison" },
      'unknown camera type "hikvison"; did you mean hikvision?'
    ],
    ["no address", { url: null }, "column url is missing"],
    ["an empty address", { url: "" }, "column url is missing"],
    ["an illegal path", { path: "a b" }, /^the path "a b" holds " "/],
    ["an odd enabled", { enabled: "perhaps" }, 'column enabled: "perhaps" is not true or false'],
    ["no id", { id: null }, "column id is missing"]
  ] as const) {
    it(`reports the problem of ${what}`, () => {
      const said = problemOf({ id: 1, url, ...row })
      if (typeof problem === "string") assert.strictEqual(said, problem)
      else assert.match(said, problem)
    })
  }

  it("reports all problems of a row at once", () => {
    assert.strictEqual(
      problemOf({ id: 1, type: "hikvision", port: 0, channel: "x", path: "/a" }),
      'the path "/a" begins or ends with a slash; column host is missing; ' +
        "column port: 0 is out of range (1 to 65535); " +
        'column channel: "x" is not a whole number'
    )
  })

  for (const off of [false, "false", "f", 0, "0", "no", "off"]) {
    it(`leaves out a row with enabled ${JSON.stringify(off)}`, () => {
      const set = read({ id: 1, url, enabled: off }, { id: 2, url, enabled: null })
      assert.deepStrictEqual([...set.cameras.keys()], ["2" as CameraId])
      assert.deepStrictEqual([...set.disabled.keys()], ["1" as CameraId])
    })
  }

  it("gives a path to the first row by id, in any order of the rows", () => {
    const rows = [10, 9, 2].map((id) => ({ id, url, path: "gate" }))
    const set = read(...rows)
    assert.deepStrictEqual(
      [...set.cameras.values()].map(({ _tag, id }) => `${id} ${_tag}`),
      ["2 Camera", "9 InvalidCamera", "10 InvalidCamera"]
    )
  })

  it("keeps the path of a disabled row free", () => {
    const set = read({ id: 1, url, path: "gate", enabled: false }, { id: 2, url, path: "gate" })
    assert.strictEqual(set.cameras.get("2" as CameraId)?._tag, "Camera")
  })

  it("keeps two rows of one id apart", () => {
    const set = read({ id: 1, url }, { id: 1, url: "rtsp://10.0.0.6/live" })
    assert.deepStrictEqual(
      [...set.cameras.values()].map(({ _tag, id }) => `${id} ${_tag}`),
      ["1 Camera", "1 (2) InvalidCamera"]
    )
  })

  describe("with rows of one id", () => {
    const [one, two, three] = [5, 6, 7].map((n) => ({ id: 1, url: `rtsp://10.0.0.${n}/live` }))
    /** The host of the camera, and the names of the rows whose id it has. */
    const hostIn = ({ cameras }: ReturnType<typeof read>) => {
      const camera = cameras.get("1" as CameraId)
      return camera?._tag === "Camera" ? camera.url.host : camera?._tag
    }

    it("selects the same row in any order of the rows", () => {
      const sets = [read(one!, two!, three!), read(three!, two!, one!), read(two!, three!, one!)]
      assert.deepStrictEqual(sets.map(hostIn), ["10.0.0.5", "10.0.0.5", "10.0.0.5"])
    })

    it("keeps the running row when a row is added that sorts before it", () => {
      const readRows = reader()
      assert.strictEqual(hostIn(readRows([two!])), "10.0.0.6")
      assert.strictEqual(hostIn(readRows([one!, two!])), "10.0.0.6")
      assert.strictEqual(hostIn(readRows([two!, { ...one!, name: "Gate" }])), "10.0.0.6")
    })

    it("follows a change of the running row, and selects another one when the row is removed", () => {
      const readRows = reader()
      readRows([two!, three!])
      assert.strictEqual(
        hostIn(readRows([three!, { ...two!, url: "rtsp://10.0.0.8/a" }])),
        "10.0.0.8"
      )
      assert.strictEqual(hostIn(readRows([three!])), "10.0.0.7")
    })

    it("selects another row when the running row is disabled", () => {
      const readRows = reader()
      readRows([one!, two!])
      assert.strictEqual(hostIn(readRows([{ ...one!, enabled: false }, two!])), "10.0.0.6")
    })

    it("keeps a camera muted that becomes invalid by its id or its path", () => {
      const muted = { url, path: "gate", options: { alerts: false } }
      for (const id of [1, 2]) {
        const { cameras } = read({ id: 1, url, path: "gate" }, { ...muted, id })
        const [, invalid] = cameras.values()
        assert.deepStrictEqual([invalid?._tag, invalid?.isMuted], ["InvalidCamera", true])
      }
    })

    it("gives a path to the same of two ids that differ in zeros only", () => {
      const rows = ["1", "01"].map((id) => ({ id, url, path: "gate" }))
      const valid = ({ cameras }: ReturnType<typeof read>) =>
        [...cameras.values()].filter(({ _tag }) => _tag === "Camera").map(({ id }) => `${id}`)
      assert.deepStrictEqual(valid(read(...rows)), valid(read(...rows.toReversed())))
    })
  })

  it("keeps the number of a row without an id at any position in the result", () => {
    const readRows = reader()
    const names = (rows: ReadonlyArray<CameraRow>) =>
      Object.fromEntries(
        [...readRows(rows).cameras.values()].map(({ id, type }) => [type, `${id}`])
      )
    const [a, b, c] = ["a", "b", "c"].map((type) => ({ type, url }))
    assert.deepStrictEqual(names([a!, b!, c!]), { a: "row 1", b: "row 2", c: "row 3" })
    assert.deepStrictEqual(names([c!, { id: 1, url }, a!, b!]), {
      a: "row 1",
      b: "row 2",
      c: "row 3",
      url: "1"
    })
    assert.deepStrictEqual(names([c!, { type: "d", url }, b!]), {
      b: "row 2",
      c: "row 3",
      d: "row 1"
    })
  })

  it("searches once for a free id for each row whose id is in use", () => {
    const look = vi.spyOn(Map.prototype, "has")
    const rows = Array.from({ length: 2000 }, () => ({ id: 1, url }))
    const { cameras } = read(...rows, { id: "1 (7)", url })
    const looks = look.mock.calls.length
    look.mockRestore()
    assert.strictEqual(cameras.size, 2001)
    assert.isTrue(cameras.has("1 (2000)" as CameraId))
    assert.isBelow(looks, 10 * rows.length)
  })

  it("decodes a row again only when it changed, also where many have one id", () => {
    let asked = 0
    const { all, toUrl } = CameraTypes.make()
    const readRows = makeDecoder({
      types: CameraTypes.of({
        all,
        toUrl: (type, columns) => {
          asked++
          return toUrl(type, columns)
        }
      }),
      pathTemplate: "cam{id}",
      defaults: options.defaults
    })
    const rows = (ids: ReadonlyArray<unknown>) => ids.map((id) => ({ id, url }))
    readRows(rows([1, 1, 1, null, 2, 3]))
    assert.strictEqual(asked, 6)
    readRows(rows([1, 1, 1, null, 2, 3]))
    assert.strictEqual(asked, 6)
    readRows(rows([1, 1, null, 3, 2]))
    assert.strictEqual(asked, 6)
  })

  it("keeps names on one line", () => {
    const [camera] = read({ id: 1, url, name: "Gate\n\u001b[2J" }).cameras.values()
    assert.strictEqual(camera?.name, "Gate\\n\\x1b[2J")
  })

  it("shows no password in its problems", () => {
    const secret = "TopSecret1"
    for (const row of [
      { id: 1, url: `rtsp://admin:${secret}@/live` },
      { id: 1, type: "hikvision", password: secret },
      { id: 1, type: secret.slice(0, 3), password: secret },
      { id: 1, url, path: "{password}", password: secret }
    ]) {
      assert.notInclude(JSON.stringify([...read(row).cameras]), secret)
    }
    const filled = reader("{password}")([{ id: 1, url, password: secret }])
    assert.notInclude(JSON.stringify([...filled.cameras]), secret)
  })

  it("returns the identical set for unchanged rows", () => {
    const readRows = reader()
    const rows = () => [
      { id: 1, url, options: { audio: "drop" } },
      { id: 2, url: "nothing" }
    ]
    assert.strictEqual(readRows(rows()), readRows(rows()))
  })

  it("detects a change in any column, although it caches decoded rows", () => {
    const readRows = reader()
    const before = readRows([{ id: 1, url, options: { audio: "drop" } }])
    const after = readRows([{ id: 1, url, options: { audio: "copy" } }])
    assert.notStrictEqual(before, after)
    const [camera] = after.cameras.values()
    assert.strictEqual(camera?._tag === "Camera" && camera.options.audio, "copy")
  })

  it("detects that a row gained or lost a column", () => {
    const decode = reader()
    const pathOf = (row: CameraRow) =>
      [...decode([row]).cameras.values()].map((camera) =>
        camera._tag === "Camera" ? `${camera.path}` : camera.problem
      )
    assert.deepStrictEqual(pathOf({ id: 1, url }), ["cam1"])
    assert.deepStrictEqual(pathOf({ id: 1, url, path: "gate" }), ["gate"])
    assert.deepStrictEqual(pathOf({ id: 1, url }), ["cam1"])
  })

  for (const column of ["url", "password"]) {
    it(`fills no path with the column ${column}, which may hold a secret`, () => {
      const decode = reader(`{${column}}`)
      // values that would be valid paths
      const row = {
        id: 1,
        host: "10.0.0.5",
        type: "axis",
        url: "TopSecret1",
        password: "TopSecret1"
      }
      const [camera] = decode([row]).cameras.values()
      assert.strictEqual(
        camera?._tag === "InvalidCamera" && camera.problem,
        `the path template {${column}} names {${column}}, and the row has no such column`
      )
    })
  }

  it("reads any row without throwing, and the valid row beside it", () => {
    const value = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.integer(),
      fc.constant(null),
      fc.jsonValue()
    )
    const row = fc.dictionary(
      fc.constantFrom("id", "name", "type", "url", "host", "path", "enabled", "options", "port"),
      value
    )
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), (rows) => {
        const set = read(...rows, { id: "the good one", url, path: "good" })
        const good = set.cameras.get("the good one" as CameraId)
        assert.isTrue(
          good?._tag === "Camera" ||
            rows.some(({ path, id }) => path === "good" || id === "the good one")
        )
      })
    )
  })

  it("reads the addresses that it reveals as the same cameras", () => {
    const [camera] = read({
      id: 1,
      type: "dahua",
      host: "10.0.0.5",
      username: "admin",
      password: "p@/?#%"
    }).cameras.values()
    assert.strictEqual(
      camera?._tag === "Camera" && StreamUrl.reveal(camera.url),
      "rtsp://admin:p%40%2F%3F%23%25@10.0.0.5/cam/realmonitor?channel=1&subtype=0"
    )
  })

  describe("with a row that throws when it is read", () => {
    const throwing = {
      name: "acme",
      description: "",
      toUrl: () => {
        throw new Error("the password is TopSecret1")
      }
    }
    const readBoth = (row: CameraRow, again = row) => {
      const read = makeDecoder({
        types: CameraTypes.make([
          throwing,
          UrlTemplate.cameraType("site", "rtsp://{host}/{place}")
        ]),
        pathTemplate: "cam{id}",
        defaults: options.defaults
      })
      // twice: what is remembered is compared with what comes
      read([row, { id: 2, url }])
      return [...read([again, { id: 2, url }]).cameras.values()]
    }

    for (const [what, row, type] of [
      ["by its camera type", {}, "acme"],
      ["by a value that has no text", { host: "cam", place: { toString: 1, valueOf: 1 } }, "site"]
    ] as const) {
      it(`makes that row invalid, ${what}, and reads the others`, () => {
        const [bad, good] = readBoth({ id: 1, name: "Gate", type, ...row })
        assert.deepStrictEqual(bad, {
          _tag: "InvalidCamera",
          id: "1" as CameraId,
          name: "Gate",
          type,
          problem: `camera type ${type} threw an error on this row`
        })
        assert.strictEqual(good?._tag, "Camera")
      })
    }

    for (const [what, json] of [
      ["looks as if it could compare itself", `{"~effect/Equal": 1, "~effect/Hash": 1}`],
      ["is nested too deep to be compared", "[".repeat(9000) + "]".repeat(9000)]
    ] as const) {
      it(`reads a row one of whose values ${what}`, () => {
        const jsonb = () => ({ id: 1, url, note: JSON.parse(json) })
        const [camera, good] = readBoth(jsonb(), jsonb())
        assert.deepStrictEqual([camera?._tag, good?._tag], ["Camera", "Camera"])
      })
    }
  })

  describe("with several addresses", () => {
    const addresses = (row: CameraRow) => {
      const [camera] = read({ id: 1, ...row }).cameras.values()
      return camera?._tag === "Camera"
        ? [camera.url, ...(camera.backups ?? [])].map(StreamUrl.reveal)
        : camera?.problem
    }
    const [a, b, c] = ["a", "b", "c"].map((path) => `rtsp://10.0.0.5/${path}`)
    const all = [a!, b!, c!]

    for (const [what, row] of [
      ["lines of url", { url: ` ${a}\r\n\n${b}\n${c}\n` }],
      ["a list in urls", { urls: all }],
      ["JSON in urls", { urls: JSON.stringify(all) }],
      ["lines of urls", { urls: all.join("\n") }],
      ["url, and the rest in urls", { url: a, urls: [b, c] }],
      ["urls with one twice", { url: a, urls: [a, b, null, c, b] }]
    ] as const) {
      it(`takes ${what} in their order`, () => assert.deepStrictEqual(addresses(row), all))
    }

    it("gives each address the user name and the password of the row", () => {
      assert.deepStrictEqual(
        addresses({
          type: "axis",
          host: "10.0.0.7",
          username: "u",
          password: "p",
          urls: [a, "rtsp://x:y@10.0.0.8/"]
        }),
        [
          "rtsp://u:p@10.0.0.7/axis-media/media.amp?camera=1",
          "rtsp://u:p@10.0.0.5/a",
          "rtsp://x:y@10.0.0.8/"
        ]
      )
    })

    it("makes the row invalid where one of them is, and names that address", () => {
      assert.match(`${addresses({ url: `${a}\nnone` })}`, /^address 2: the address needs a scheme/)
      assert.match(`${addresses({ urls: [a, 5] })}`, /^address 2: /)
      assert.strictEqual(addresses({ urls: [] }), "column url is missing")
    })
  })

  it("takes a password from its column literally, and decodes only a whole url", () => {
    const revealed = (row: CameraRow) => {
      const [camera] = read({ id: 1, ...row }).cameras.values()
      return camera?._tag === "Camera" && Redacted.value(camera.url.credentials!.password)
    }
    const host = "10.0.0.5"
    for (const password of ["p%40ss", "100%25", "p@ss", "%", "a b", " a ", "ends in a blank "]) {
      assert.strictEqual(revealed({ type: "hikvision", host, username: "u", password }), password)
      assert.strictEqual(revealed({ url, username: "u", password }), password)
    }
    assert.strictEqual(revealed({ url: "rtsp://u:p%40ss@10.0.0.5/live" }), "p@ss")
  })
})
