/** The names of cameras in log lines. Pure. */
import type { Camera, CameraId } from "./Camera.ts"

/** A camera as all log lines name it: `camera 1 "Gate"`. */
export const cameraLabel = (camera: Pick<Camera, "id" | "name">): string =>
  `camera ${shortLabel(camera)}`

const shortLabel = ({ id, name }: Pick<Camera, "id" | "name">): string =>
  name === id ? id : `${id} "${name}"`

/** The number of named items of a list. */
const mostNamed = 3

/** The first names of a list, and the number of the others: `a, b, c and 5 more`. */
export const nameFirst = (names: ReadonlyArray<string>): string => {
  const named = names.slice(0, mostNamed)
  const more = names.length - named.length
  return more > 0 ? `${named.join(", ")} and ${more} more` : named.join(", ")
}

/** {@link nameFirst} for cameras: `1 "Gate", 2 "Yard", 3 "Roof" and 5 more`. */
export const nameSome = (
  cameras: ReadonlyArray<Pick<Camera, "id" | "name"> & { readonly detail?: string }>
): string =>
  nameFirst(
    cameras.map(
      (camera) => shortLabel(camera) + (camera.detail === undefined ? "" : ` (${camera.detail})`)
    )
  )

/** `1 camera`, `3 cameras`. */
export const countCameras = (count: number): string => `${count} camera${count === 1 ? "" : "s"}`

/**
 * One stream of each camera, because people count cameras: the main stream, or the first one if the main stream is
 * missing.
 */
export const onePerCamera = <
  A extends {
    readonly id: CameraId
    /** The camera, for a further stream. */
    readonly of?: CameraId | undefined
  }
>(
  streams: ReadonlyArray<A>
): ReadonlyArray<A> => {
  const found = new Map<CameraId, A>()
  for (const stream of streams) {
    const camera = stream.of ?? stream.id
    if (stream.of === undefined || !found.has(camera)) found.set(camera, stream)
  }
  return [...found.values()]
}
