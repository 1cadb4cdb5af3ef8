/**
 * The port by which daemons with cameras of the same devices share what the devices refused.
 *
 * `RefusalGuard` decides by its own state. It claims an attempt here right before the device may refuse it, and
 * reports the outcome here. Without an implementation in context each daemon knows only its own attempts.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { CameraId } from "../camera/Camera.ts"

/** What all daemons together know of a group of cameras. */
export interface Known {
  /** The cameras, by `digest`, that were refused since a camera was accepted, and whether each was accepted before. */
  readonly suspects: ReadonlyMap<string, boolean>
  /** Refusals since a camera was accepted. */
  readonly refusals: number
  /** How long ago a camera was accepted, in milliseconds. `undefined`: never. */
  readonly acceptedAgoMs: number | undefined
  readonly last:
    | {
        readonly by: CameraId
        readonly code: string
        /** When the group may be tried again, in milliseconds from now; negative in the past. */
        readonly untilInMs: number
      }
    | undefined
}

export interface Claim {
  /** Whether the camera may be tried now. No other daemon tries the group until the outcome is reported, or for 5 s. */
  readonly isGranted: boolean
  /** Whether the device just accepted another daemon, so that the cameras need not be tried one at a time. */
  readonly isProven: boolean
  readonly known: Known | undefined
}

export type Outcome =
  | { readonly _tag: "Accepted" }
  | {
      readonly _tag: "Refused"
      readonly camera: string
      readonly by: CameraId
      readonly code: string
      readonly wasAccepted: boolean
      /** How long the group is not tried. */
      readonly delayMs: number
    }
  /** The last camera that was live has ended: the group may be tried after the delay. */
  | { readonly _tag: "Ended"; readonly delayMs: number }
  /** The attempt ended without a response to the credentials. */
  | { readonly _tag: "Released" }

export interface RefusalsService {
  /** A name for a camera that reveals nothing about the camera. */
  readonly digest: (camera: string) => string
  /**
   * Requests the right to try a group. Never fails, and takes at most a second.
   *
   * @param isForced an operator requests the attempt, in spite of a refusal.
   */
  readonly claim: (
    group: Redacted.Redacted,
    camera: string,
    isForced: boolean
  ) => Effect.Effect<Claim>
  /** Reports an outcome to the other daemons. Neither waits nor fails. */
  readonly tell: (group: Redacted.Redacted, outcome: Outcome) => void
  /** What is known of these groups now. A group of which nothing is known is left out. */
  readonly recall: (
    groups: ReadonlyArray<Redacted.Redacted>
  ) => Effect.Effect<ReadonlyMap<Redacted.Redacted, Known>>
  /** Whether there may be other daemons. */
  readonly isShared: boolean
}

export const granted: Claim = { isGranted: true, isProven: false, known: undefined }

/** This daemon is the only one. */
export const alone: RefusalsService = {
  digest: (camera) => camera,
  claim: () => Effect.succeed(granted),
  tell: () => {},
  recall: () => Effect.succeed(new Map()),
  isShared: false
}

/** The refusals in context. Default: `alone`. */
export const Refusals: Context.Reference<RefusalsService> = Context.Reference(
  "@restream/core/probing/Refusals",
  { defaultValue: () => alone }
)
