/** The `Session` header: the number of a session and how long it lives without a request (RFC 2326 §12.37). */

/** What lives without a keep-alive when a server says nothing, in seconds (RFC 2326 §12.37). */
export const defaultTimeoutSeconds = 60

export interface SessionHeader {
  /** What every later request of the session carries. */
  readonly id: string
  /** `undefined`: the server did not tell; {@link defaultTimeoutSeconds} holds then. */
  readonly timeoutSeconds: number | undefined
}

/** Reads `12345678;timeout=60`, with white space anywhere. `undefined` where there is no id. */
export const parse = (value: string): SessionHeader | undefined => {
  const [id = "", ...parameters] = value.split(";").map((part) => part.trim())
  if (id === "") return undefined
  let timeoutSeconds: number | undefined
  for (const parameter of parameters) {
    const seconds = /^timeout\s*=\s*"?(\d{1,7})/i.exec(parameter)?.[1]
    // cameras that say 0 mean "never", and still want to be asked now and then
    if (seconds !== undefined && Number(seconds) > 0) timeoutSeconds = Number(seconds)
  }
  return { id, timeoutSeconds }
}

export const render = (session: SessionHeader): string =>
  session.timeoutSeconds === undefined
    ? session.id
    : `${session.id};timeout=${session.timeoutSeconds}`
