/**
 * Merges the cameras of several nodes into one list with its own revisions.
 *
 * While a camera moves, both nodes may report it for a moment, or none. The camera belongs to the node that started to
 * report it last, until that node removes it. Meanwhile, reports of other nodes are ignored.
 */
import type { CameraId } from "../camera/Camera.ts"
import { streamsOf, sumOf, type Tally, tallyOf } from "../status/OperatorView.ts"
import { Tombstones } from "../status/Tombstones.ts"
import type { CameraChanges, CameraSummary } from "./Api.ts"
import { type Measure, measured } from "./Measured.ts"

interface Entry {
  /** Its `revision` is that of the list. */
  camera: CameraSummary
  node: string
}

/** A report of a node. */
export interface NodeChanges {
  readonly cameras: ReadonlyArray<CameraSummary>
  readonly removed: ReadonlyArray<CameraId>
  /** Whether `cameras` are all cameras of the node. */
  readonly isComplete: boolean
}

export class MergedCameras {
  readonly #entries = new Map<CameraId, Entry>()
  /** All reported cameras by node, including cameras that belong to another node now. */
  readonly #reported = new Map<string, Map<CameraId, CameraSummary>>()
  /** The camera of each further stream, by the stream's id. */
  readonly #cameraOf = new Map<CameraId, CameraId>()
  readonly #tombstones = new Tombstones<CameraId>(4096)
  #revision = 0
  #tallies: { readonly revision: number; readonly byNode: ReadonlyMap<string, Tally> } = {
    revision: 0,
    byNode: new Map()
  }

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

  /** Removes all reports of a node. */
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

  /** Changes the measurements of a node's streams, without a new revision. */
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

  /** Whether a node has reported since the last `clear`. */
  knows(node: string): boolean {
    return this.#reported.has(node)
  }

  /** The tally of each node that has cameras. Counted once per revision. */
  get tallies(): ReadonlyMap<string, Tally> {
    if (this.#tallies.revision !== this.#revision) {
      const byNode = Map.groupBy(this.#entries.values(), ({ node }) => node)
      const tallies = [...byNode].map(
        ([node, entries]) => [node, tallyOf(entries.map(({ camera }) => camera))] as const
      )
      this.#tallies = { revision: this.#revision, byNode: new Map(tallies) }
    }
    return this.#tallies.byNode
  }

  /** The tally of all nodes. */
  get tally(): Tally {
    return sumOf(this.tallies.values())
  }

  get cameras(): ReadonlyArray<CameraSummary> {
    return [...this.#entries.values()].map(({ camera }) => camera)
  }

  /** The changes after a revision; 0 gives all cameras. */
  changesSince(since: number): NodeChanges & Pick<CameraChanges, "revision" | "tally"> {
    const isComplete = since <= 0 || since < this.#tombstones.forgottenRevision
    const { cameras } = this
    return {
      revision: this.#revision,
      isComplete,
      tally: this.tally,
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
