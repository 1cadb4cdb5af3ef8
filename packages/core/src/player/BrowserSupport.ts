/**
 * The tracks that browsers cannot play if a stream is published unchanged (MediaMTX documentation, "Read": codecs
 * by protocol).
 */
import type { StreamInfo } from "../engine/StreamInfo.ts"

/** Why browsers may show no video. */
const videoProblems: Readonly<Record<string, string>> = {
  hevc: "H.265 video: many browsers do not play it",
  mjpeg: "MJPEG video: no browser plays it by WebRTC or HLS",
  mpeg4: "MPEG-4 video: no browser plays it by WebRTC or HLS"
}

/** Audio that HLS does not carry. */
const withoutHls = new Set(["pcm_mulaw", "pcm_alaw"])

/** One sentence for each track that browsers cannot play, or not with each protocol. */
export const browserProblems = ({ audio, video }: StreamInfo): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const ofVideo = videoProblems[video.codec]
  if (ofVideo !== undefined) problems.push(ofVideo)
  if (audio !== undefined && withoutHls.has(audio.codec)) {
    problems.push("G.711 audio: no sound by HLS")
  }
  return problems
}
