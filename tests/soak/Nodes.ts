/** The daemons of a soak. The first is measured and goes on to the end; the others are nodes that fail, too. */
import { execFile } from "node:child_process"
import { pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { Programs } from "@restream/cli/demo"
import { asTheDaemon, Child } from "../bench/Child.ts"
import { program } from "../kit/Program.ts"
import { password, serverAddress, serverPort } from "./Addresses.ts"
import type { Tempo } from "./Tempo.ts"
import type { Violations } from "./Violations.ts"
import type { World } from "./World.ts"

export interface NodesOptions {
  /** 1: a daemon without `--cluster`. */
  readonly count: number
  readonly tempo: Tempo
  readonly world: World
  readonly violations: Violations
  readonly onLog: (text: string) => void
}

/** How long a daemon may take to end, and a node that hands its cameras over. */
const endMs = 5000
const drainMs = 12_000

export class Nodes {
  readonly #options: NodesOptions
  readonly #children: Array<Child> = []
  /** Those that were told to end. */
  readonly #ending = new Set<Child>()

  private constructor(options: NodesOptions) {
    this.#options = options
  }

  static async start(options: NodesOptions): Promise<Nodes> {
    const nodes = new Nodes(options)
    if (options.count > 1) await nodes.#createTables()
    for (let index = 0; index < options.count; index++) await nodes.startNode(index)
    return nodes
  }

  /** The daemon that is measured. */
  get first(): Child {
    return this.#children[0]!
  }

  get count(): number {
    return this.#options.count
  }

  get pids(): ReadonlyArray<number> {
    return this.#children.map(({ pid }) => pid)
  }

  async startNode(index: number): Promise<void> {
    const { count, onLog, tempo, violations } = this.#options
    let rest = ""
    const { child } = await Child.start(pathToFileURL(program), {
      args: count > 1 ? ["run", "--cluster"] : ["run"],
      nodeArgs: [
        ...asTheDaemon,
        "--expose-gc",
        "--import",
        new URL("diagnostics.ts", import.meta.url).href
      ],
      env: {
        ...this.#env,
        // they would want one port
        ...(count > 1
          ? { RESTREAM_CLUSTER_NAME: `node-${index + 1}`, RESTREAM_HTTP_ENABLED: "no" }
          : {}),
        ...tempo.settings
      },
      onStderr: (text) => {
        onLog(text)
        const lines = (rest + text).split("\n")
        rest = lines.pop() ?? ""
        for (const line of lines) {
          if (line.includes(password)) violations.add("secret shown", "in the log")
          if (/a fault in restream itself|internal error/.test(line))
            violations.add("daemon fault", line)
        }
      }
    })
    this.#children[index] = child
    if (index > 0) void this.#watchEnd(child, index)
  }

  async #watchEnd(child: Child, index: number): Promise<void> {
    const how = await child.exited
    if (this.#ending.has(child)) return
    this.#options.violations.add("daemon ended", `node ${index + 1} with ${how}`)
  }

  get #env(): Readonly<Record<string, string>> {
    const { world } = this.#options
    return {
      PG_DSN: world.dsn,
      MEDIA_SERVER_HOST: serverAddress(world.block),
      MEDIA_SERVER_PORT: String(serverPort),
      RESTREAM_FFMPEG_PATH: Programs.ffmpeg(),
      RESTREAM_FFMPEG_FFPROBE_PATH: Programs.ffprobe()
    }
  }

  async #createTables(): Promise<void> {
    await promisify(execFile)(process.execPath, [program, "db", "init", "--cluster"], {
      env: { ...process.env, ...this.#env }
    })
  }

  async killNode(index: number): Promise<void> {
    const child = this.#children[index]!
    this.#ending.add(child)
    child.signal("SIGKILL")
    await child.exited
  }

  signalNode(index: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#children[index]!.signal(signal)
  }

  /** Ends a node in order, and watches that it does. */
  async endNode(index: number): Promise<void> {
    const { count, violations } = this.#options
    const child = this.#children[index]!
    this.#ending.add(child)
    if (!child.isRunning) {
      if (index === 0) violations.add("daemon ended", `with ${await child.exited}`)
      return
    }
    const mostMs = count > 1 ? drainMs : endMs
    const askedAt = performance.now()
    child.signal("SIGTERM")
    const force = setTimeout(() => child.signal("SIGKILL"), mostMs + 1000)
    const how = await child.exited
    clearTimeout(force)
    const tookMs = performance.now() - askedAt
    if (how !== 0 || tookMs > mostMs) {
      violations.add(
        "bad end",
        `${count > 1 ? `node ${index + 1}` : "it"} ended with ${how} after ${Math.round(tookMs)} ms`
      )
    }
  }

  /** Ends all, the measured one last. */
  async end(): Promise<void> {
    for (let index = this.count - 1; index >= 0; index--) await this.endNode(index)
  }
}
