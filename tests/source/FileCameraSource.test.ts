import { NodeFileSystem } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { type CameraRow, CameraSource, FileCameraSource } from "@restream/core"
import { Context, Effect, Fiber, FileSystem, Layer, Queue } from "effect"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Log from "../kit/Log.ts"
import { awaitIds, cameraSourceContract, observe, row } from "./CameraSourceContract.ts"

/** A folder of the test. */
class Folder extends Context.Service<Folder, string>()("Folder") {
  static readonly layer = Layer.effect(
    Folder,
    Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-file-source-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
  )
}

const yaml = (rows: ReadonlyArray<CameraRow>) => JSON.stringify({ cameras: rows })

const csv = (rows: ReadonlyArray<CameraRow>) =>
  ["id,name,url", ...rows.map(({ id, name, url }) => [id, name, url].join(","))].join("\n")

const longAgo = new Date(Date.now() - 86_400_000)

const formats = { "cameras.yaml": yaml, "cameras.csv": csv }
type Name = keyof typeof formats

/** In place, as `cp` and some editors do it. */
const write = (name: Name) => (rows: ReadonlyArray<CameraRow>) =>
  Effect.map(Folder, (folder) => writeFileSync(join(folder, name), formats[name](rows)))

/** As most editors do it. */
const replace = (name: Name) => (rows: ReadonlyArray<CameraRow>) =>
  Effect.map(Folder, (folder) => {
    writeFileSync(join(folder, ".new"), formats[name](rows))
    renameSync(join(folder, ".new"), join(folder, name))
  })

/** As Kubernetes mounts a ConfigMap: the file is a link into a folder that is a link, too. */
const mount = (name: Name) => {
  let version = 0
  return (rows: ReadonlyArray<CameraRow>) =>
    Effect.map(Folder, (folder) => {
      const data = `..version-${version++}`
      mkdirSync(join(folder, data))
      writeFileSync(join(folder, data, name), formats[name](rows))
      symlinkSync(data, join(folder, "..data-new"))
      renameSync(join(folder, "..data-new"), join(folder, "..data"))
      if (version === 1) symlinkSync(join("..data", name), join(folder, name))
    })
}

const source = (name: Name, options: Partial<FileCameraSource.FileCameraSourceOptions> = {}) =>
  Layer.unwrap(
    Effect.map(Folder, (folder) =>
      FileCameraSource.layer({
        file: join(folder, name),
        pollInterval: "20 millis",
        settleTime: "20 millis",
        ...options
      })
    )
  ).pipe(Layer.provide(NodeFileSystem.layer))

/** The source over a file with these rows. */
const sourceWith = (
  name: Name,
  setRows: (rows: ReadonlyArray<CameraRow>) => Effect.Effect<void, never, Folder>,
  rows: ReadonlyArray<CameraRow>,
  options: Partial<FileCameraSource.FileCameraSourceOptions> = {}
) =>
  source(name, options).pipe(
    Layer.provideMerge(Layer.effectDiscard(setRows(rows))),
    Layer.provideMerge(Folder.layer)
  )

layer(Layer.empty, { excludeTestServices: true, timeout: "20 seconds" })((it) => {
  for (const [title, name, makeSetRows] of [
    ["a CSV file written in place", "cameras.csv", write],
    ["a YAML file replaced by rename", "cameras.yaml", replace],
    ["a YAML file in a ConfigMap", "cameras.yaml", mount]
  ] as const) {
    let setRows = makeSetRows(name)
    cameraSourceContract(it, `FileCameraSource, ${title}`, {
      layer: (rows) => {
        setRows = makeSetRows(name)
        return sourceWith(name, (rows) => setRows(rows), rows)
      },
      setRows: (rows) => setRows(rows)
    })
  }

  const logged = (
    test: (log: Log.Log) => Effect.Effect<void, unknown, CameraSource | Folder>,
    rows: ReadonlyArray<CameraRow>,
    options: Partial<FileCameraSource.FileCameraSourceOptions> = {},
    setRows = write("cameras.yaml")
  ) => {
    const log = Log.make()
    return log.capture(
      test(log).pipe(Effect.provide(sourceWith("cameras.yaml", setRows, rows, options)))
    )
  }

  it.effect("keeps the rows while the file is empty, invalid or missing, and logs that once", () =>
    logged(
      (log) =>
        Effect.gen(function* () {
          const folder = yield* Folder
          const file = join(folder, "cameras.yaml")
          const seen = yield* observe
          yield* awaitIds(seen, ["1"])
          for (const [content, problem] of [
            ["", "the file is empty"],
            ["- id: 2\n  url: 'rtsp", ":2:8: the quote is not closed"]
          ] as const) {
            writeFileSync(file, content)
            yield* log.awaitLine(new RegExp(`^Error camera file: ${file}.*${problem}`))
          }
          unlinkSync(file)
          const line = yield* log.awaitLine(/no such file/)
          assert.match(line, /no such file; running relays are unaffected; last successful read/)
          const { health } = yield* CameraSource
          assert.strictEqual((yield* health)._tag, "Down")
          // nothing but the good rows came
          assert.isTrue((yield* Queue.clear(seen)).every((ids) => ids.join() === "1"))
          writeFileSync(file, yaml([row(2)]))
          yield* awaitIds(seen, ["2"])
          assert.lengthOf(log.matching(/^Error/), 3)
        }).pipe(Effect.scoped),
      [row(1)]
    )
  )

  it.effect("reads a file only when it has not changed for the settle time", () =>
    logged(
      () =>
        Effect.gen(function* () {
          const file = join(yield* Folder, "cameras.yaml")
          const seen = yield* observe
          yield* awaitIds(seen, ["1"])
          const { refresh } = yield* CameraSource
          // a part of the file is a valid file, too
          writeFileSync(file, yaml([row(1), row(2)]))
          const read = yield* Effect.forkScoped(refresh)
          yield* Effect.sleep("200 millis")
          writeFileSync(file, yaml([row(1), row(2), row(3)]))
          utimesSync(file, longAgo, longAgo)
          const { rows } = yield* Fiber.join(read)
          assert.lengthOf(rows, 3)
          yield* awaitIds(seen, ["1", "2", "3"])
        }).pipe(Effect.scoped),
      [row(1)],
      { settleTime: "1 hour" },
      (rows) =>
        Effect.gen(function* () {
          yield* write("cameras.yaml")(rows)
          utimesSync(join(yield* Folder, "cameras.yaml"), longAgo, longAgo)
        })
    )
  )

  it.effect("reads a file with an error once, until it changes", () =>
    Effect.gen(function* () {
      const file = join(yield* Folder, "cameras.yaml")
      let reads = 0
      const counting = Layer.effect(
        FileSystem.FileSystem,
        Effect.map(FileSystem.FileSystem, (fs) => ({
          ...fs,
          readFile: (path: string) =>
            Effect.suspend(() => {
              reads++
              return fs.readFile(path)
            })
        }))
      ).pipe(Layer.provide(NodeFileSystem.layer))
      writeFileSync(file, "- 'gate\n")
      yield* Effect.gen(function* () {
        const { refresh } = yield* CameraSource
        for (let count = 0; count < 3; count++) {
          assert.match((yield* Effect.flip(refresh)).message, /:1:3: the quote is not closed$/)
        }
        assert.strictEqual(reads, 1)
        writeFileSync(file, yaml([row(1)]))
        assert.lengthOf((yield* refresh).rows, 1)
        assert.strictEqual(reads, 2)
      }).pipe(
        Effect.provide(
          FileCameraSource.layer({ file, pollInterval: "20 millis", settleTime: "20 millis" }).pipe(
            Layer.provide(counting)
          )
        )
      )
    }).pipe(Effect.provide(Folder.layer))
  )

  it.effect("warns once of passwords that every user can read", () =>
    logged(
      (log) =>
        Effect.gen(function* () {
          const folder = yield* Folder
          const file = join(folder, "cameras.yaml")
          const seen = yield* observe
          yield* awaitIds(seen, ["1"])
          assert.deepStrictEqual(log.matching(/passwords/), [])
          for (const id of [2, 3]) {
            writeFileSync(file, yaml([{ ...row(id), password: "secret" }]))
            chmodSync(file, 0o644)
            yield* awaitIds(seen, [String(id)])
          }
          assert.deepStrictEqual(log.matching(/passwords/), [
            `Warn camera file: ${file} holds passwords, and every user of this machine may read it; chmod 640 removes that right`
          ])
          assert.notInclude(log.everything(), "secret")
        }).pipe(Effect.scoped),
      [row(1)]
    )
  )

  it.effect(
    "names a column that nothing reads, and treats a column that becomes empty as a failed read",
    () =>
      logged(
        (log) =>
          Effect.gen(function* () {
            const folder = yield* Folder
            const file = join(folder, "cameras.yaml")
            const seen = yield* observe
            const ids = (count: number) =>
              Array.from({ length: count }, (_, index) => index + 1).map(row)
            const text = (rows: ReadonlyArray<CameraRow>) =>
              yaml(rows.map((camera) => ({ ...camera, adress: "x" })))
            yield* awaitIds(seen, ["1"])
            writeFileSync(file, text(ids(12)))
            yield* log.awaitLine(
              /^Info camera file: nothing reads the column adress|^Warn camera file: nothing reads the column adress/
            )
            writeFileSync(file, yaml(ids(12).map(({ id, name }) => ({ id, name }))))
            yield* log.awaitLine(/^Error camera file: .*column url is empty in every row/)
          }).pipe(Effect.scoped),
        [row(1)],
        { known: Effect.succeed(new Set(["id", "name", "url", "password"])) }
      )
  )
})
