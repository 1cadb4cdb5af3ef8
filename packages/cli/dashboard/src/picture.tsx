/** The last picture of a camera: a keyframe as an MP4, which a video element shows without playing. */
import { useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import { getPicture } from "./api.ts"
import { type Camera, now } from "./store.ts"
import { duration, words } from "./text.ts"

/** Few at a time: a wall of cameras must not take all connections of the browser. */
const mostAtOnce = 4
let loading = 0
const queue: Array<() => void> = []

const inTurn = async <A,>(load: () => Promise<A>): Promise<A> => {
  if (loading >= mostAtOnce) await new Promise<void>((resolve) => queue.push(resolve))
  loading++
  try {
    return await load()
  } finally {
    loading--
    queue.shift()?.()
  }
}

/** Whether an element is in view. */
const isInView = (element: Element | null): boolean => {
  const box = element?.getBoundingClientRect()
  return box !== undefined && box.bottom > 0 && box.top < innerHeight
}

interface PictureProps {
  readonly camera: Pick<Camera, "engine" | "id" | "name" | "problem" | "stream" | "word">
  /** How often it is taken anew, in milliseconds. */
  readonly every: number
}

export const Picture = ({ camera, every }: PictureProps) => {
  const w = words()
  const place = useRef<HTMLElement>(null)
  const video = useRef<HTMLVideoElement>(null)
  const takenAt = useSignal<number | undefined>(undefined)
  const problem = useSignal("")
  const isLive = camera.word === "ok"
  const isTaken = camera.engine === null || camera.engine === "native"

  useEffect(() => {
    let url: string | undefined
    let isOver = false
    const load = async () => {
      if (isOver || document.hidden || !isInView(place.current)) return
      try {
        const picture = await inTurn(() => getPicture(camera.id, every / 1000))
        if (isOver || video.current === null) return
        if (url !== undefined) URL.revokeObjectURL(url)
        url = URL.createObjectURL(picture.blob)
        video.current.src = url
        takenAt.value = picture.at
      } catch (error) {
        if (!isOver && error instanceof Error) problem.value = error.message
      }
    }
    if (isLive && isTaken) void load()
    const timer = isLive && isTaken ? setInterval(() => void load(), every) : undefined
    return () => {
      isOver = true
      clearInterval(timer)
      if (url !== undefined) URL.revokeObjectURL(url)
    }
  }, [camera.id, isLive, isTaken, every])

  const codec = camera.stream?.video ?? ""
  const absent = () => {
    if (!isLive) return camera.problem?.message ?? ""
    return isTaken ? problem.value || w.noPictureYet : w.noPictureOf(camera.engine ?? "")
  }
  return (
    <figure class={`picture ${isLive ? "" : "down"}`} ref={place}>
      <video
        ref={video}
        muted
        playsInline
        aria-label={camera.name}
        hidden={takenAt.value === undefined}
        onLoadedData={() => {
          problem.value = ""
        }}
        onError={() => {
          takenAt.value = undefined
          problem.value = w.cannotShow(codec)
        }}
      />
      <figcaption>
        {takenAt.value === undefined ? absent() : w.ago(duration(now.value - takenAt.value))}
      </figcaption>
    </figure>
  )
}
