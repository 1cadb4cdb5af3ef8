/** The daemon's HTTP API as the page uses it. Only types are imported, so the page contains none of the daemon. */
import type { CameraDetail, CameraList, CommandResult } from "@restream/core/http"

/** The daemon wants its token. */
export class Unauthorized extends Error {}

/** The daemon answered with an error, in its words. */
export class Refused extends Error {}

const request = async (path: string, init?: RequestInit): Promise<unknown> => {
  // relative to the page, which may live below a path of a proxy
  const response = await fetch(`./api/${path}`, init)
  if (response.status === 401) throw new Unauthorized()
  const body: unknown = await response.json().catch(() => undefined)
  if (response.ok) return body
  const message = (body as { readonly message?: unknown } | undefined)?.message
  throw new Refused(typeof message === "string" ? message : `${response.status}`)
}

const camera = (id: string) => `cameras/${encodeURIComponent(id)}`

export const getCamera = (id: string) => request(camera(id)) as Promise<CameraDetail>

/** All cameras with their bitrates of the last hour. */
export const getHistories = () => request("cameras?history=true&limit=10000") as Promise<CameraList>

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
