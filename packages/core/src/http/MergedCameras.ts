/**
 * The cameras of several nodes as one list with revisions of its own.
 *
 * A camera that moves may be told by both nodes for a moment, or by none. It is that of the node that told it first
 * last, until that node says that it is gone; what another node says of it meanwhile does not count.
 */
import type { CameraId } from "../camera/Camera.ts"
import { streamsOf, type Tally, tallyOf } from "../status/OperatorView.ts"
import { Tombstones } from "../status/Tombstones.ts"
import type { CameraChanges, CameraSummary } from "./Api.ts"
import { type Measure, measured } from "./Measured.ts"

interface Entry {
  /** With the revision of the list. */
  camera: CameraSummary
  node: string
}

/** What a node says of its cameras. */
export interface NodeChanges {
  readonly cameras: ReadonlyArray<CameraSummary>
  readonly removed: ReadonlyArray<CameraId>
  /** Whether `cameras` are all cameras of the node. */
  readonly isComplete: boolean
}

export class MergedCameras {
  readonly #entries = new Map<CameraId, Entry>()
  /** What each node says, whether its word counts or not. */
  readonly #told = new Map<string, Map<CameraId, CameraSummary>>()
  /** The camera of each further stream. */
  readonly #cameraOf = new Map<CameraId, CameraId>()
  readonly #tombstones = new Tombstones<CameraId>(4096)
  #revision = 0

  get revision(): number {
    return this.#revision
  }

  /** Takes what a node says. */
  apply(node: string, { cameras, isComplete, removed }: NodeChanges): void {
    const told = this.#told.get(node) ?? new Map<CameraId, CameraSummary>()
    this.#told.set(node, told)
    if (isComplete) {
      const present = new Set(cameras.map(({ id }) => id))
      for (const id of told.keys()) if (!present.has(id)) this.#forget(node, id)
    }
    for (const id of removed) this.#forget(node, id)
    for (const camera of cameras) {
      const isNew = !told.has(camera.id)
      told.set(camera.id, camera)
      if (isNew || this.#entries.get(camera.id)?.node === node) this.#set(node, camera)
    }
  }

  /** Forgets what a node has said. */
  remove(node: string): void {
    for (const id of this.#told.get(node)?.keys() ?? []) this.#forget(node, id)
    this.#told.delete(node)
  }

  /** Forgets everything; who asks for changes next gets all cameras. */
  clear(): void {
    this.#entries.clear()
    this.#told.clear()
    this.#cameraOf.clear()
    this.#tombstones.forgottenRevision = ++this.#revision
  }

  /** Changes measurements of the streams of a node. They change without a revision. */
  measure(node: string, measure: Measure): void {
    const told = this.#told.get(node) ?? new Map<CameraId, CameraSummary>()
    for (const [id, camera] of told) {
      const changed = measured(camera, measure)
      told.set(id, changed)
      const entry = this.#entries.get(id)
      if (entry?.node === node) {
        entry.camera = { ...changed, node, revision: entry.camera.revision }
      }
    }
  }

  /** The node of a camera or of a further stream. */
  nodeOf(id: CameraId): string | undefined {
    return this.#entries.get(this.#cameraOf.get(id) ?? id)?.node
  }

  /** Whether a node has said something since the beginning, and since everything was forgotten. */
  knows(node: string): boolean {
    return this.#told.has(node)
  }

  /** The tally of each node that has cameras. */
  get tallies(): ReadonlyMap<string, Tally> {
    const words = new Map<string, Array<CameraSummary>>()
    for (const { camera, node } of this.#entries.values()) {
      const cameras = words.get(node)
      if (cameras === undefined) words.set(node, [camera])
      else cameras.push(camera)
    }
    return new Map([...words].map(([node, cameras]) => [node, tallyOf(cameras)]))
  }

  get cameras(): ReadonlyArray<CameraSummary> {
    return [...this.#entries.values()].map(({ camera }) => camera)
  }

  /** What changed after a revision; 0 gives all cameras. */
  changesSince(since: number): NodeChanges & Pick<CameraChanges, "revision" | "tally"> {
    const isComplete = since <= 0 || since < this.#tombstones.forgottenRevision
    const { cameras } = this
    return {
      revision: this.#revision,
      isComplete,
      tally: tallyOf(cameras),
      cameras: isComplete ? cameras : cameras.filter(({ revision }) => revision > since),
      removed: isComplete ? [] : this.#tombstones.since(since)
    }
  }

  #set(node: string, camera: CameraSummary): void {
    const { id } = camera
    this.#unlinkStreams(id)
    for (const stream of streamsOf(camera)) {
      if (stream.id !== id) this.#cameraOf.set(stream.id, id)
    }
    this.#tombstones.delete(id)
    this.#entries.set(id, { node, camera: { ...camera, node, revision: ++this.#revision } })
  }

  #unlinkStreams(id: CameraId): void {
    for (const { id: stream } of this.#entries.get(id)?.camera.substreams ?? []) {
      this.#cameraOf.delete(stream)
    }
  }

  #forget(node: string, id: CameraId): void {
    this.#told.get(node)?.delete(id)
    if (this.#entries.get(id)?.node !== node) return
    for (const [other, told] of this.#told) {
      const camera = told.get(id)
      if (camera !== undefined) return this.#set(other, camera)
    }
    this.#unlinkStreams(id)
    this.#entries.delete(id)
    this.#tombstones.set(id, ++this.#revision)
  }
}
