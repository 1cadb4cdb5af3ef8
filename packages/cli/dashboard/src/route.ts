/** The page's place in the address: `#/cameras?word=down&sort=since`. */
import { signal } from "@preact/signals"

export interface Route {
  /** `""`, `"cameras"`, `"cameras/7"`, `"wall"`. */
  readonly path: string
  readonly query: URLSearchParams
}

const read = (): Route => {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?")
  return { path, query: new URLSearchParams(query) }
}

export const route = signal(read())
addEventListener("hashchange", () => {
  route.value = read()
})

export const hrefTo = (path: string, query: Readonly<Record<string, string>> = {}): string => {
  const text = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== "")
  ).toString()
  return `#/${path}${text === "" ? "" : `?${text}`}`
}

/** Changes the query in place, without an entry in the history. */
export const replaceQuery = (query: Readonly<Record<string, string>>) => {
  history.replaceState(undefined, "", hrefTo(route.value.path, query))
  route.value = read()
}
