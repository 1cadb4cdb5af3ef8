/** The `Session` header: the session id, and the session timeout (RFC 2326 §12.37). */

/** The session timeout if the server names none, in seconds (RFC 2326 §12.37). */
export const defaultTimeoutSeconds = 60

export interface SessionHeader {
  /** The id in every later request of the session. */
  readonly id: string
  /** `undefined` if the server names none: {@link defaultTimeoutSeconds} applies. */
  readonly timeoutSeconds: number | undefined
}

/** Parses `12345678;timeout=60`, with white space anywhere. `undefined` without an id. */
export const parse = (value: string): SessionHeader | undefined => {
  const [id = "", ...parameters] = value.split(";").map((part) => part.trim())
  if (id === "") return undefined
  let timeoutSeconds: number | undefined
  for (const parameter of parameters) {
    const seconds = /^timeout\s*=\s*"?(\d{1,7})/i.exec(parameter)?.[1]
    // cameras that send 0 mean "never", but still expect keep-alives
    if (seconds !== undefined && Number(seconds) > 0) timeoutSeconds = Number(seconds)
  }
  return { id, timeoutSeconds }
}

export const render = (session: SessionHeader): string =>
  session.timeoutSeconds === undefined
    ? session.id
    : `${session.id};timeout=${session.timeoutSeconds}`
