/** What the protocols by which a camera is played have in common. */

/** Why a camera does not play, in the words of `text.ts`. */
export type Obstacle =
  | "unsupported"
  | "codec"
  | "notLive"
  | "serverUnreachable"
  | "accessDenied"
  | "noStream"
  | "rejected"
  | "noConnection"
  | "noPicture"
  | "stalled"

/** One protocol that is being tried. */
export interface Attempt {
  /** Resolves when the element has its source; fails where it gets none. */
  readonly opened: Promise<void>
  /** Why no picture will come, as far as that is known; called twice a second until the first one. */
  readonly obstacle: (now: number) => Obstacle | undefined
  readonly end: () => void
}

/**
 * Starts an attempt.
 *
 * @param codec of the video, as the daemon names it.
 * @param fail ends the attempt.
 */
export type Start = (
  id: string,
  codec: string | undefined,
  video: HTMLVideoElement,
  fail: (error: unknown) => void
) => Attempt

/** A protocol cannot play, for a reason that the page has found by itself. */
export class Unplayable extends Error {
  readonly obstacle: Obstacle
  constructor(obstacle: Obstacle, detail = "") {
    super(detail)
    this.obstacle = obstacle
  }
}
