/**
 * The cameras of several nodes as one list with revisions of its own.
 *
 * A camera that moves may be reported by both nodes for a moment, or by none. It belongs to the node that was the
 * last to begin reporting it, until that node removes it; reports of other nodes are ignored meanwhile.
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

/** What a node reports. */
export interface NodeChanges {
  readonly cameras: ReadonlyArray<CameraSummary>
  readonly removed: ReadonlyArray<CameraId>
  /** Whether `cameras` are all cameras of the node. */
  readonly isComplete: boolean
}

export class MergedCameras {
  readonly #entries = new Map<CameraId, Entry>()
  /** All that each node reports, also of cameras that belong to another node now. */
  readonly #reported = new Map<string, Map<CameraId, CameraSummary>>()
  /** The camera of each further stream. */
  readonly #cameraOf = new Map<CameraId, CameraId>()
  readonly #tombstones = new Tombstones<CameraId>(4096)
  #revision = 0

  get revision(): number {
    return this.#revision
  }

  /** Applies a report of a node. */
  apply(node: string, { cameras, isComplete, removed }: NodeChanges): void {
    const reported = this.#reported.get(node) ?? new Map<CameraId, CameraSummary>()
    this.#reported.set(node, reported)
    if (isComplete) {
      const present = new Set(cameras.map(({ id }) => id))
      for (const id of reported.keys()) if (!present.has(id)) this.#forget(node, id)
    }
    for (const id of removed) this.#forget(node, id)
    for (const camera of cameras) {
      const isNew = !reported.has(camera.id)
      reported.set(camera.id, camera)
      if (isNew || this.#entries.get(camera.id)?.node === node) this.#set(node, camera)
    }
  }

  /** Removes all that a node has reported. */
  remove(node: string): void {
    for (const id of this.#reported.get(node)?.keys() ?? []) this.#forget(node, id)
    this.#reported.delete(node)
  }

  /** Removes everything; the next `changesSince` gives all cameras. */
  clear(): void {
    this.#entries.clear()
    this.#reported.clear()
    this.#cameraOf.clear()
    this.#tombstones.forgottenRevision = ++this.#revision
  }

  /** Changes measurements of the streams of a node. They change without a revision. */
  measure(node: string, measure: Measure): void {
    const reported = this.#reported.get(node) ?? new Map<CameraId, CameraSummary>()
    for (const [id, camera] of reported) {
      const changed = measured(camera, measure)
      reported.set(id, changed)
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

  /** Whether a node has reported anything since the last `clear`. */
  knows(node: string): boolean {
    return this.#reported.has(node)
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
    this.#reported.get(node)?.delete(id)
    if (this.#entries.get(id)?.node !== node) return
    for (const [other, reported] of this.#reported) {
      const camera = reported.get(id)
      if (camera !== undefined) return this.#set(other, camera)
    }
    this.#unlinkStreams(id)
    this.#entries.delete(id)
    this.#tombstones.set(id, ++this.#revision)
  }
}
