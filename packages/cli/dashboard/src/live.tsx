/** The picture of a camera's page: stills, and on a click the live picture. */
import { useSignal } from "@preact/signals"
import type { CameraDetail } from "@restream/core/http"
import { useEffect, useRef } from "preact/hooks"
import { Picture } from "./picture.tsx"
import { play, type PlayerState } from "./player.ts"
import type { Camera } from "./store.ts"
import { failureText, protocolName, seconds, words } from "./text.ts"

interface LivePictureProps {
  readonly camera: Pick<Camera, "engine" | "id" | "name" | "problem" | "stream" | "word">
  readonly playerUrls: CameraDetail["playerUrls"]
}

export const LivePicture = ({ camera, playerUrls }: LivePictureProps) => {
  const w = words()
  const video = useRef<HTMLVideoElement>(null)
  const end = useRef<() => void>(undefined)
  const state = useSignal<PlayerState>({ tag: "idle" })
  const isLive = camera.word === "ok"
  const codec = camera.stream?.video

  const start = () => {
    if (video.current === null) return
    end.current = play(camera.id, codec, video.current, (next) => {
      state.value = next
    })
  }
  const stop = () => {
    end.current?.()
    end.current = undefined
    state.value = { tag: "idle" }
  }

  // nobody watches a page that is hidden or left
  useEffect(() => {
    const onHidden = () => {
      if (document.hidden && end.current !== undefined) stop()
    }
    document.addEventListener("visibilitychange", onHidden)
    addEventListener("pagehide", stop)
    return () => {
      document.removeEventListener("visibilitychange", onHidden)
      removeEventListener("pagehide", stop)
      stop()
    }
  }, [camera.id])

  // the stream of a relay that ended does not go on with the next one
  useEffect(() => {
    if (!isLive && end.current !== undefined) stop()
  }, [isLive])

  const { value } = state
  const isPlaying = value.tag === "playing"
  const failures = value.tag === "idle" ? [] : value.failures
  return (
    <>
      <figure class="picture" hidden={!isPlaying}>
        <video ref={video} muted playsInline controls aria-label={w.liveOf(camera.name)} />
      </figure>
      {!isPlaying && <Picture camera={camera} every={2000} />}
      <p class="actions">
        {value.tag === "connecting" || isPlaying ? (
          <button onClick={stop}>{w.stop}</button>
        ) : (
          <button onClick={start} disabled={!isLive}>
            {w.play}
          </button>
        )}
        <span role="status" class="live">
          {value.tag === "connecting" && w.connecting(protocolName(value.protocol))}
          {isPlaying && w.firstPicture(protocolName(value.protocol), seconds(value.firstPictureMs))}
          {isPlaying && value.protocol === "hls" && ` ${w.hlsDelay}`}
          {failures.map((failure) => ` ${failureText(failure, codec)}`)}
        </span>
      </p>
      {value.tag === "failed" && (
        <p class="quiet">
          {failures.map(({ detail }) => detail).join(" ")}{" "}
          {playerUrls !== null && (
            <a href={playerUrls.hls} target="_blank" rel="noreferrer">
              {w.openHls}
            </a>
          )}
        </p>
      )}
    </>
  )
}
