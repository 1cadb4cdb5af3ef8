/** Does to the world what the plan says, one thing after the other, and undoes it in time. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Quirks } from "@restream/core/testing"
import { urlOf } from "./Addresses.ts"
import type { FaultName, Step } from "./Plan.ts"
import type { Nodes } from "./Nodes.ts"
import type { Row, World } from "./World.ts"

/** A trouble began or ended, for whoever reads the story of a run. */
export interface FaultEvent {
  readonly at: string
  readonly fault: FaultName
  readonly camera: number
  readonly what: "made" | "undone"
}

/** A camera by its number, or a whole part. */
type Part = number | "server" | "database" | "table" | `node ${number}`

interface Undo {
  readonly fault: FaultName
  readonly camera: number
  readonly dueAt: number
  readonly needsTable: boolean
  readonly run: () => Promise<void>
}

const quirksOf: Partial<Record<FaultName, Quirks>> = {
  silent: { silentAt: "DESCRIBE" },
  notFound: { rejectWith: { DESCRIBE: 404 } },
  garbage: { garbageAt: "DESCRIBE" },
  closeMidFrame: { closeMidFrame: 20 },
  closeAfterSetup: { closeAfterSetup: true },
  unauthorized: { alwaysUnauthorized: true }
}

export class Chaos {
  /** How often each trouble was made. */
  readonly counts: Partial<Record<FaultName, number>> = {}
  readonly #world: World
  readonly #nodes: Nodes
  /** Cameras, and whole parts, that are in trouble already. */
  readonly #troubled = new Set<Part>()
  #undos: Array<Undo> = []

  readonly #tell: (event: FaultEvent) => void

  constructor(world: World, nodes: Nodes, tell: (event: FaultEvent) => void) {
    this.#world = world
    this.#nodes = nodes
    this.#tell = tell
  }

  /** Done at the end of the storm, when everything is as it was; or early, when the signal says so. */
  async rage(steps: ReadonlyArray<Step>, stormMs: number, signal: AbortSignal): Promise<void> {
    const startedAt = performance.now()
    const waiting = [...steps]
    while (!signal.aborted && performance.now() - startedAt < stormMs) {
      await this.#undo((undo) => undo.dueAt <= performance.now())
      const [step] = waiting
      if (step !== undefined && startedAt + step.atMs <= performance.now()) {
        waiting.shift()
        if (await this.#make(step)) {
          this.counts[step.fault] = (this.counts[step.fault] ?? 0) + 1
          this.#say(step, "made")
        }
      } else {
        await sleep(20)
      }
    }
    // what hinders other undoing comes first
    await this.#undo((undo) => !undo.needsTable)
    await this.#undo(() => true)
  }

  async #undo(isDue: (undo: Undo) => boolean): Promise<void> {
    const due = this.#undos.filter(
      (undo) => isDue(undo) && (this.#world.isTableThere || !undo.needsTable)
    )
    this.#undos = this.#undos.filter((undo) => !due.includes(undo))
    for (const one of due) {
      await one.run()
      this.#say(one, "undone")
    }
  }

  #say({ camera, fault }: { fault: FaultName; camera: number }, what: FaultEvent["what"]) {
    this.#tell({ at: new Date().toISOString(), fault, camera, what })
  }

  /** Keeps something in trouble until it is undone. */
  #until(
    { camera, fault, forMs }: Step,
    what: Part,
    needsTable: boolean,
    undo: () => Promise<void>
  ): void {
    this.#troubled.add(what)
    this.#undos.push({
      fault,
      camera: typeof what === "number" ? what : camera,
      dueAt: performance.now() + forMs,
      needsTable,
      run: async () => {
        await undo()
        this.#troubled.delete(what)
      }
    })
  }

  /** `false`: it can't be done now, because of another trouble. */
  async #make(step: Step): Promise<boolean> {
    const { fault } = step
    switch (fault) {
      case "serverStop":
      case "serverKill":
      case "serverFreeze":
      case "serverKick":
        return !this.#troubled.has("server") && this.#server(step)
      case "databaseStop":
      case "databaseKill":
      case "databaseFreeze":
      case "databaseTerminate":
      case "tableAway":
        return !this.#troubled.has("database") && this.#database(step)
      case "nodeKill":
      case "nodeEnd":
      case "nodeFreeze":
        return this.#node(step)
      case "renameAll":
      case "notifications":
      case "disableAll":
        return this.#world.isTableThere && this.#table(step)
      case "rename":
      case "disable":
      case "replace":
      case "move":
      case "otherPath":
      case "otherEngine":
      case "badRow":
        return this.#world.isTableThere && this.#row(step, this.#world.rows[step.camera]!)
      default: {
        const { camera } = this.#world.rows[step.camera]!
        return !this.#troubled.has(camera) && this.#camera(step, camera)
      }
    }
  }

  async #camera(step: Step, camera: number): Promise<boolean> {
    const { fault } = step
    const world = this.#world
    const back = () => this.#until(step, camera, false, () => world.order({ camera, power: "on" }))
    switch (fault) {
      case "drop":
        await world.order({ camera, power: "on" })
        return true
      case "off":
        await world.order({ camera, power: "off" })
        break
      case "freeze":
      case "freezeVideo":
        await world.order({ camera, freeze: fault === "freeze" ? "all" : "video" })
        this.#until(step, camera, false, () => world.order({ camera, freeze: null }))
        return true
      default:
        await world.order({ camera, power: "on", quirks: quirksOf[fault] ?? {} })
    }
    back()
    return true
  }

  async #row(step: Step, row: Row): Promise<boolean> {
    const { camera, fault, forMs } = step
    const world = this.#world
    const update = async (set: string) => {
      await world.query(`update cameras set ${set} where id = ${row.id}`)
    }
    switch (fault) {
      case "rename":
        await update(`name = name || '.'`)
        return true
      case "disable":
        await update("enabled = false")
        this.#until(step, row.camera, true, () => update("enabled = true"))
        return true
      case "replace":
        await world.query(`delete from cameras where id = ${row.id}`)
        if (row.path !== undefined && this.#nodes.count > 1) world.pathMoved(row.path)
        await world.insert(row)
        return true
      case "move": {
        const spare = world.spares.shift()
        if (spare === undefined) return false
        world.spares.push(row.camera)
        row.camera = spare
        await update(`url = '${urlOf(world.block, spare)}'`)
        return true
      }
      case "otherPath":
        row.path = row.path === undefined ? `yard/${row.id}` : undefined
        await update(`path = ${row.path === undefined ? "null" : `'${row.path}'`}`)
        return true
      case "otherEngine": {
        const other = row.engine === "ffmpeg" ? "native" : "ffmpeg"
        const before = row.engine === "auto" ? "null" : `'{"engine":"${row.engine}"}'`
        const choice = world.engine === "native" ? '{"audio":"drop"}' : `{"engine":"${other}"}`
        await update(`options = '${choice}'`)
        this.#until(step, row.camera, true, () => update(`options = ${before}`))
        return true
      }
      default: {
        const bad = `insert into cameras (name, type, url, path) values
          ('no url', 'url', null, null), ('no such type', 'nonsense', 'rtsp://x/', null),
          ('bad path', 'url', 'rtsp://127.0.0.1/', '../x'),
          ('taken path', 'url', 'rtsp://127.0.0.1:1/', '${row.path ?? `cam${row.id}`}')
          returning id::text`
        const ids = (await world.query(bad)).map(({ id }) => String(id)).join(", ")
        this.#undos.push({
          fault,
          camera,
          dueAt: performance.now() + forMs,
          needsTable: true,
          run: async () => void (await world.query(`delete from cameras where id in (${ids})`))
        })
        return true
      }
    }
  }

  async #table(step: Step): Promise<boolean> {
    const world = this.#world
    switch (step.fault) {
      case "renameAll":
        await world.query("update cameras set name = 'Camera ' || id")
        return true
      case "notifications":
        await world.query(
          "select pg_notify('restream_cameras', n::text) from generate_series(1, 1000) n"
        )
        return true
      default:
        await world.query("update cameras set enabled = false")
        this.#until({ ...step, forMs: step.forMs / 4 }, "table", true, async () => {
          await world.query("update cameras set enabled = true")
        })
        return true
    }
  }

  async #node(step: Step): Promise<boolean> {
    const nodes = this.#nodes
    const index = 1 + (step.camera % (nodes.count - 1))
    const back = (undo: () => Promise<void>) => this.#until(step, `node ${index}`, false, undo)
    switch (step.fault) {
      case "nodeFreeze":
        nodes.signalNode(index, "SIGSTOP")
        this.#world.nodeFrozen()
        back(async () => {
          nodes.signalNode(index, "SIGCONT")
          this.#world.nodeResumed()
        })
        return true
      case "nodeKill":
        await nodes.killNode(index)
        break
      default:
        await nodes.endNode(index)
    }
    back(() => nodes.startNode(index))
    return true
  }

  async #server(step: Step): Promise<boolean> {
    const { fault } = step
    const world = this.#world
    switch (fault) {
      case "serverKick":
        await world.kick([...world.live].filter((_, index) => index % 5 === 0))
        return true
      case "serverFreeze":
        world.signalServer("SIGSTOP")
        this.#until(step, "server", false, async () => world.signalServer("SIGCONT"))
        return true
      default:
        await world.endServer(fault === "serverStop" ? "SIGTERM" : "SIGKILL")
        this.#until(step, "server", false, () => world.startServer())
        return true
    }
  }

  async #database(step: Step): Promise<boolean> {
    const { fault } = step
    const world = this.#world
    const away = (undo: () => Promise<void>) => {
      world.isTableThere = false
      this.#until(step, "database", false, async () => {
        await undo()
        world.isTableThere = true
      })
      return true
    }
    switch (fault) {
      case "databaseTerminate":
        await world.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'restream%'"
        )
        return true
      case "databaseFreeze":
        world.signalDatabase("SIGSTOP")
        return away(async () => world.signalDatabase("SIGCONT"))
      case "tableAway":
        await world.query("alter table cameras rename to cameras_away")
        return away(async () => {
          await world.query("alter table cameras_away rename to cameras")
        })
      default:
        await (fault === "databaseKill" ? world.killDatabase() : world.stopDatabase())
        return away(() => world.startDatabase())
    }
  }
}
