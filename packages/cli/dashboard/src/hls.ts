/**
 * Plays a camera by HLS, through the daemon: a few seconds late, but with B-frames, and with H.265 where the browser
 * decodes it.
 *
 * Safari plays HLS by itself. Other browsers need hls.js, which is loaded when it is needed.
 */
import { getPlaylist, playlistUrl } from "./api.ts"
import { type Obstacle, type Start, Unplayable } from "./attempt.ts"

/** From the source to the first picture. */
const firstPictureMs = 10_000

/** Whether the browser has a player that can be relied on; Chromium's answers "maybe", and breaks. */
const isNative = (video: HTMLVideoElement): boolean =>
  video.canPlayType("application/vnd.apple.mpegurl") !== "" &&
  ("ManagedMediaSource" in globalThis || !("MediaSource" in globalThis))

/** Whether the browser decodes what the playlist names. */
const canDecode = (playlist: string): boolean => {
  const codecs = /CODECS="([^"]+)"/.exec(playlist)?.[1]
  return codecs === undefined || MediaSource.isTypeSupported(`video/mp4; codecs="${codecs}"`)
}

export const startHls: Start = (id, _codec, video, fail) => {
  const abort = new AbortController()
  let openedAt: number | undefined
  let detach = () => {}

  const playNative = () => {
    const onError = () => fail(new Unplayable("codec", video.error?.message))
    video.addEventListener("error", onError)
    video.src = playlistUrl(id)
    detach = () => {
      video.removeEventListener("error", onError)
      video.removeAttribute("src")
      video.load()
    }
  }

  const playByLibrary = async () => {
    const { default: Hls } = await import("hls.js")
    if (abort.signal.aborted) return
    if (!Hls.isSupported()) throw new Unplayable("unsupported")
    const hls = new Hls({
      // the policy of the page allows no script from a blob
      enableWorker: false,
      // fewer and longer requests: each goes through the daemon
      lowLatencyMode: false,
      liveSyncDurationCount: 2,
      maxBufferLength: 10,
      backBufferLength: 10
    })
    detach = () => hls.destroy()
    hls.on(Hls.Events.ERROR, (_, { details, error, fatal, type }) => {
      if (!fatal) return
      const ofNetwork = video.currentTime > 0 ? "stalled" : "rejected"
      const obstacle = type === Hls.ErrorTypes.NETWORK_ERROR ? ofNetwork : "codec"
      fail(new Unplayable(obstacle, `${details}: ${error.message}`))
    })
    hls.loadSource(playlistUrl(id))
    hls.attachMedia(video)
  }

  const open = async () => {
    // asked for by the page first, because a player hides what the daemon says
    const playlist = await getPlaylist(id, abort.signal)
    if (isNative(video)) playNative()
    else if (!("MediaSource" in globalThis)) throw new Unplayable("unsupported")
    else if (canDecode(playlist)) await playByLibrary()
    else throw new Unplayable("codec")
    if (abort.signal.aborted) return
    openedAt = performance.now()
    await video.play()
  }

  return {
    opened: open(),
    obstacle: (now): Obstacle | undefined =>
      openedAt !== undefined && now - openedAt > firstPictureMs ? "noPicture" : undefined,
    end: () => {
      abort.abort()
      detach()
    }
  }
}
