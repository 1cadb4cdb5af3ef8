/**
 * The last picture of each camera.
 *
 * A picture is taken on request if the last picture is too old, and is kept for half a minute after the last request.
 * A camera without requests costs nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type { CameraId } from "../camera/Camera.ts"
import { StatusStore } from "../status/StatusStore.ts"
import { mp4Of } from "./Mp4Picture.ts"

export interface Picture {
  /** An MP4 file of one picture. */
  readonly mp4: Uint8Array<ArrayBuffer>
  /** When the picture was taken, in milliseconds since 1970. */
  readonly at: number
}

/**
 * Why a picture of a camera is not available.
 *
 * - `NotLive`: the camera is not live.
 * - `NoKeyframes`: the engine does not process the packets itself, or the codec is not supported.
 * - `TimedOut`: the camera sent no keyframe within 12 seconds.
 * - `Unreadable`: the parameter sets of the keyframe are invalid.
 */
export type PictureProblem = "NotLive" | "NoKeyframes" | "TimedOut" | "Unreadable"

/** Cameras send a keyframe every 1 to 10 seconds. */
const keyframeTimeout = Duration.seconds(12)
const keptFor = Duration.seconds(30)

interface Entry {
  picture: Picture | undefined
  /** The picture that is being taken. */
  pending: Deferred.Deferred<Picture, PictureProblem> | undefined
  usedAt: number
}

export class Pictures extends Context.Service<
  Pictures,
  {
    /**
     * The picture of a camera, at most `maxAge` old. If no picture can be taken within 12 seconds, an older picture.
     * Fails without either.
     */
    readonly get: (
      id: CameraId,
      maxAge: Duration.Duration
    ) => Effect.Effect<Picture, PictureProblem>
  }
>()("@restream/core/picture/Pictures") {
  static readonly layer: Layer.Layer<Pictures, never, StatusStore> = Layer.effect(
    Pictures,
    Effect.suspend(() => make)
  )
}

const make = Effect.gen(function* () {
  const store = yield* StatusStore
  const scope = yield* Effect.scope
  const entries = new Map<CameraId, Entry>()

  const forgetOld = (now: number) => {
    for (const [id, { pending, usedAt }] of entries) {
      if (pending === undefined && now - usedAt > Duration.toMillis(keptFor)) entries.delete(id)
    }
  }

  const take = Effect.fnUntraced(function* (id: CameraId) {
    const keyframe = yield* store.keyframe(id)
    const mp4 = yield* Effect.promise(() => mp4Of(keyframe))
    return mp4 === undefined ? yield* Effect.fail("Unreadable" as const) : { mp4, at: keyframe.at }
  })

  /** Takes a picture, shared by all concurrent requests. */
  const fresh = Effect.fnUntraced(function* (id: CameraId, entry: Entry) {
    const pending = entry.pending ?? Deferred.makeUnsafe<Picture, PictureProblem>()
    if (entry.pending === undefined) {
      entry.pending = pending
      yield* take(id).pipe(
        Effect.timeoutOrElse({
          duration: keyframeTimeout,
          orElse: () => Effect.fail("TimedOut" as const)
        }),
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (Exit.isSuccess(exit)) entry.picture = exit.value
            entry.pending = undefined
          })
        ),
        Deferred.into(pending),
        // in the layer's scope, because the first request may be interrupted while others wait
        Effect.forkIn(scope)
      )
    }
    return yield* Effect.catch(Deferred.await(pending), (problem) =>
      entry.picture === undefined ? Effect.fail(problem) : Effect.succeed(entry.picture)
    )
  })

  return Pictures.of({
    get: Effect.fnUntraced(function* (id, maxAge) {
      const now = yield* Clock.currentTimeMillis
      forgetOld(now)
      const entry = entries.get(id) ?? { picture: undefined, pending: undefined, usedAt: now }
      entry.usedAt = now
      entries.set(id, entry)
      const { picture } = entry
      return picture !== undefined && now - picture.at <= Duration.toMillis(maxAge)
        ? picture
        : yield* fresh(id, entry)
    })
  })
})
