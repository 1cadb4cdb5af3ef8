/** All that the daemon depends on: cameras, media server and database, each a process; and the rows. */
import { Child } from "../bench/Child.ts"
import type { DatabaseAnswer } from "../bench/database.ts"
import * as Proc from "../kit/Proc.ts"
import { urlOf } from "./Addresses.ts"
import type { CameraOrder, CrowdEvent } from "./cameras.ts"
import type { PathsEvent, TakeoverEvent } from "./media-server.ts"
import type { Violations } from "./Violations.ts"

export type Engine = "auto" | "native" | "ffmpeg"

/** A row of the table. */
export interface Row {
  id: string
  /** The camera whose address it has. */
  camera: number
  path: string | undefined
  readonly engine: Engine
}

export interface WorldOptions {
  readonly block: number
  readonly cameras: number
  readonly engine: Engine
  readonly violations: Violations
}

const framesPerSecond = 5
/** How long the relays of a node that was frozen may last: it gives up what it has lost, and then joins again. */
const overlapMs = 15_000
/** How long after a change of the table a node may not have read it. */
const movedMs = 5000

/** Cameras that no row has at the beginning: rows move to them. */
const sparesFor = (cameras: number) => 2 + Math.floor(cameras / 8)

export class World {
  readonly rows: ReadonlyArray<Row>
  readonly spares: Array<number>
  readonly dsn: string
  /** The paths whose media came on at the last look of the media server, and when that was. */
  live: ReadonlySet<string> = new Set()
  liveAt = 0
  #frozen = 0
  #resumedAt = -Infinity
  /** The publishers that were put out since a node was frozen, by path. */
  readonly #putOut = new Map<string, number>()
  readonly #movedAt = new Map<string, number>()
  /** Whether rows can be changed now. */
  isTableThere = true
  readonly #options: WorldOptions
  readonly #cameras: Child
  readonly #database: Child
  #databasePid: number
  #server: Child | undefined

  private constructor(
    options: WorldOptions,
    cameras: Child,
    database: { readonly child: Child; readonly first: { dsn: string; pid: number } }
  ) {
    this.#options = options
    this.#cameras = cameras
    this.#database = database.child
    this.#databasePid = database.first.pid
    this.dsn = database.first.dsn
    this.spares = Array.from(
      { length: sparesFor(options.cameras) },
      (_, index) => options.cameras + index
    )
    this.rows = Array.from({ length: options.cameras }, (_, camera) => ({
      id: "",
      camera,
      path: undefined,
      engine: options.engine === "auto" ? mixed(camera) : options.engine
    }))
  }

  /** A node was frozen. Its relays go on as long as their peers let them, while others take its cameras over. */
  nodeFrozen(): void {
    this.#frozen++
    this.#putOut.clear()
  }

  nodeResumed(): void {
    this.#frozen--
    this.#resumedAt = performance.now()
  }

  /** A path has another row, which may belong to another node: each node learns of that by itself. */
  pathMoved(path: string): void {
    this.#movedAt.set(path, performance.now())
  }

  /** Whether a camera may have the relay of a node that is or was frozen beside its own. */
  get mayOverlap(): boolean {
    return this.#frozen > 0 || performance.now() - this.#resumedAt < overlapMs
  }

  /** A publisher came to a path where another one was. That may happen once for each camera of a frozen node. */
  #onTakeover(path: string): void {
    const movedAt = this.#movedAt.get(path) ?? -Infinity
    this.#movedAt.delete(path)
    if (performance.now() - movedAt < movedMs) return
    const count = (this.#putOut.get(path) ?? 0) + 1
    this.#putOut.set(path, count)
    if (!this.mayOverlap) this.#options.violations.add("two publishers of a path", path)
    else if (count > 1) {
      this.#options.violations.add("two publishers of a path", `${path}: ${count} times`)
    }
  }

  static async start(options: WorldOptions): Promise<World> {
    const { block, cameras: count, violations } = options
    const cameras = await Child.start(new URL("cameras.ts", import.meta.url), {
      args: [block, count + sparesFor(count), framesPerSecond].map(String),
      onEvent: ({ camera, readers }: CrowdEvent) => {
        if (world?.mayOverlap === true) return
        violations.add("two readers of a camera", `camera ${camera}: ${readers}`)
      }
    })
    let world: World | undefined
    try {
      const database = await Child.start<{ dsn: string; pid: number }>("database.ts")
      world = new World(options, cameras.child, database)
      await world.startServer()
      for (const row of world.rows) await world.insert(row)
      return world
    } catch (error) {
      await cameras.child.end()
      throw error
    }
  }

  get block(): number {
    return this.#options.block
  }

  get engine(): Engine {
    return this.#options.engine
  }

  /** The paths that are live when nothing is wrong. */
  get wanted(): ReadonlySet<string> {
    return new Set(this.rows.map(({ id, path }) => path ?? `cam${id}`))
  }

  async query(sql: string): Promise<NonNullable<DatabaseAnswer["rows"]>> {
    const { error, rows } = await this.#database.ask<DatabaseAnswer>({ query: sql })
    if (error !== undefined) throw new Error(`${sql}: ${error}`)
    return rows ?? []
  }

  /** Inserts a row, which gets a new id. */
  async insert(row: Row): Promise<void> {
    const options = row.engine === "auto" ? "null" : `'{"engine":"${row.engine}"}'`
    const path = row.path === undefined ? "null" : `'${row.path}'`
    const [inserted] = await this.query(
      `insert into cameras (name, url, path, options) values
        ('Camera ${row.camera}', '${urlOf(this.block, row.camera)}', ${path}, ${options}) returning id::text`
    )
    row.id = String(inserted?.["id"])
  }

  async order(order: CameraOrder): Promise<void> {
    const { error } = await this.#cameras.ask<{ error?: string }>(order)
    if (error !== undefined) throw new Error(`camera ${order.camera}: ${error}`)
  }

  async startServer(): Promise<void> {
    const { child } = await Child.start(new URL("media-server.ts", import.meta.url), {
      args: [String(this.block)],
      onEvent: (event: PathsEvent | TakeoverEvent) => {
        if (event.event === "takeover") {
          return this.#onTakeover(event.path)
        }
        this.live = new Set(event.live)
        this.liveAt = performance.now()
      }
    })
    this.#server = child
  }

  async endServer(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#server?.signal(signal)
    await this.#server?.end()
    this.live = new Set()
  }

  signalServer(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#server?.signal(signal)
  }

  async kick(paths: ReadonlyArray<string>): Promise<void> {
    await this.#server?.ask({ kick: paths })
  }

  async stopDatabase(): Promise<void> {
    await this.#database.ask({ server: "stop" })
  }

  /** Ends it without any order: sessions break, and it has to recover when it starts. */
  async killDatabase(): Promise<void> {
    process.kill(this.#databasePid, "SIGQUIT")
    await this.stopDatabase()
  }

  async startDatabase(): Promise<void> {
    const { error, pid } = await this.#database.ask<DatabaseAnswer>({ server: "start" })
    if (pid === undefined) throw new Error(`the database does not start: ${error}`)
    this.#databasePid = pid
  }

  signalDatabase(signal: "SIGSTOP" | "SIGCONT"): void {
    for (const { pid } of Proc.family(this.#databasePid)) {
      try {
        process.kill(pid, signal)
      } catch {
        // a session that ended meanwhile
      }
    }
  }

  async end(): Promise<void> {
    this.signalServer("SIGCONT")
    this.signalDatabase("SIGCONT")
    await Promise.all([this.#cameras.end(), this.#database.end(), this.#server?.end()])
  }
}

/** Most take what is best for them, some insist. */
const mixed = (camera: number): Engine => {
  if (camera % 7 === 3) return "ffmpeg"
  return camera % 7 === 5 ? "native" : "auto"
}
