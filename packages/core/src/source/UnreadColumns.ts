/** Finds the unused columns of a result, and the column that each was probably meant to be. Pure. */
import { nearest } from "@restream/config"

/** Other programs' names for our columns. */
const synonyms: Readonly<Record<string, ReadonlyArray<string>>> = {
  id: ["uuid", "camera_id", "cam_id", "device_id", "number"],
  name: ["title", "label", "description", "camera_name"],
  type: ["kind", "vendor", "brand", "manufacturer", "model"],
  url: ["uri", "link", "address_url", "rtsp", "rtsp_url", "stream_url", "source"],
  host: ["ip", "ip_address", "ipaddr", "addr", "address", "hostname"],
  port: ["rtsp_port"],
  username: ["user", "user_name", "login", "account"],
  password: ["pass", "passwd", "pwd", "secret"],
  enabled: ["active", "is_active", "is_enabled", "enable", "on", "disabled", "status"],
  path: ["stream_path", "mount", "slug"],
  options: ["settings", "config", "params"]
}

/** A short word is close to too many other words, so only a missing or transposed letter counts. */
const isMisspelt = (word: string, meant: string): boolean => {
  const letters = (text: string) => [...text.toLowerCase()].sort().join("")
  return word.length >= 6 || word.length !== meant.length || letters(word) === letters(meant)
}

/**
 * Describes the unused columns. `undefined`: there are none.
 *
 * @param columns of the result.
 * @param known the columns that are used.
 */
export const describe = (
  columns: ReadonlyArray<string>,
  known: ReadonlySet<string>
): { readonly message: string; readonly isSuspicious: boolean } | undefined => {
  const unread = columns.filter((name) => !known.has(name))
  if (unread.length === 0) return undefined
  // a column that the result has cannot be what another column was meant to be
  const missing = [...known].filter((name) => !columns.includes(name))
  let isSuspicious = false
  const shown = unread.map((name) => {
    const word = name.toLowerCase()
    const synonym = missing.find((known) => synonyms[known]?.includes(word) === true)
    const close = nearest(name, missing)
    const meant = synonym ?? (close !== undefined && isMisspelt(name, close) ? close : undefined)
    if (meant === undefined) return name
    isSuspicious = true
    return `${name} (did you mean ${meant}?)`
  })
  return {
    message: `nothing reads the column${unread.length === 1 ? "" : "s"} ${shown.join(", ")}`,
    isSuspicious
  }
}
