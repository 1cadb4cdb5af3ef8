/** The daemon's HTTP API as the page uses it. Only types of it are imported, so the page contains none of the daemon. */
import type { CameraDetail, CameraList, CommandResult } from "@restream/core/http"

/** The daemon wants its token. */
export class Unauthorized extends Error {}

/** The daemon answered with an error, in its words. */
export class Refused extends Error {
  /** Of the response. */
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** A camera cannot be played; the code tells programs why. */
export class NotPlayable extends Refused {
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(status, message)
    this.code = code
  }
}

const bodyOf = (response: Response): Promise<unknown> => response.json().catch(() => undefined)

const problemOf = async (response: Response): Promise<Error> => {
  if (response.status === 401) return new Unauthorized()
  const body = (await bodyOf(response)) as { readonly [key: string]: unknown } | undefined
  const message = typeof body?.["message"] === "string" ? body["message"] : `${response.status}`
  return typeof body?.["code"] === "string"
    ? new NotPlayable(response.status, body["code"], message)
    : new Refused(response.status, message)
}

const request = async (path: string, init?: RequestInit): Promise<unknown> => {
  // relative to the page, which may live below a path of a proxy
  const response = await fetch(`./api/${path}`, init)
  if (!response.ok) throw await problemOf(response)
  return bodyOf(response)
}

const camera = (id: string) => `cameras/${encodeURIComponent(id)}`

export const getCamera = (id: string) => request(camera(id)) as Promise<CameraDetail>

/** The daemon makes each page in one piece, in which it does nothing else. */
const historiesAPage = 500

/** All cameras with their bitrates of the last hour, page by page. */
export const getHistories = async function* (): AsyncGenerator<CameraList> {
  for (let offset = 0; ; offset += historiesAPage) {
    const page = (await request(
      `cameras?history=true&limit=${historiesAPage}&offset=${offset}`
    )) as CameraList
    yield page
    if (offset + historiesAPage >= page.total) return
  }
}

/** The last picture, at most so many seconds old. */
export const getPicture = async (
  id: string,
  maxAge: number
): Promise<{ readonly blob: Blob; readonly at: number }> => {
  const response = await fetch(`./api/${camera(id)}/picture?maxAge=${Math.round(maxAge)}`)
  if (!response.ok) throw await problemOf(response)
  return {
    blob: await response.blob(),
    at: Number(response.headers.get("x-picture-time") ?? Date.now())
  }
}

/** Opens a session at the media server. @param offer SDP. */
export const openSession = async (
  id: string,
  offer: string
): Promise<{ readonly session: string; readonly answer: string }> => {
  const response = await fetch(`./api/${camera(id)}/whep`, {
    method: "POST",
    headers: { "content-type": "application/sdp" },
    body: offer
  })
  if (!response.ok) throw await problemOf(response)
  const session = new URL(response.headers.get("location") ?? "", response.url).href
  return { session, answer: await response.text() }
}

/** Ends a session, also while the page is being left. */
export const endSession = (session: string): void => {
  // the media server notices without it, only later
  fetch(session, { method: "DELETE", keepalive: true }).catch(() => {})
}

export const playlistUrl = (id: string) => `./api/${camera(id)}/hls/index.m3u8`

/** The first playlist of a camera. The media server may make it only now, which takes some seconds. */
export const getPlaylist = async (id: string, signal: AbortSignal): Promise<string> => {
  const response = await fetch(playlistUrl(id), { signal })
  if (!response.ok) throw await problemOf(response)
  return response.text()
}

export const sendCommand = (id: string, command: "retry" | "restart") =>
  request(`${camera(id)}/${command}`, { method: "POST" }) as Promise<CommandResult>

/** Exchanges the token for a cookie. */
export const signIn = (token: string) =>
  request("session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token })
  })

/** Whether the daemon lets this browser in; `undefined` if it does not answer. */
export const isSignedIn = async (): Promise<boolean | undefined> => {
  try {
    await request("overview")
    return true
  } catch (error) {
    return error instanceof Unauthorized ? false : undefined
  }
}
