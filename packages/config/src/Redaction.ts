/**
 * Removes credentials from text.
 *
 * Camera URLs carry credentials in the user-info, in the query (`?user=…&password=…`) or in the path
 * (`/user=admin_password=…_channel=1`). Text from a program or a camera passes through {@link redact} before it
 * reaches a log, an error or a status.
 */

const mask = "***"

/**
 * `scheme://user:password@` anywhere in a text; the user-info may contain anything but white space. The
 * scheme is bounded because the search is quadratic in its length.
 */
const userInfo = /\b([a-z][a-z0-9+.-]{0,15}:\/\/)[^\s/?#"'<>]*@/gi

/** A possible URL. */
const word = /[^\s"'<>]+/g
const knownScheme = /\b(?:rtsps?|rtmps?|https?|srt|postgres(?:ql)?):\/\//i

/** A password with an unescaped `/`, `?` or `#`: from the scheme to the last `@` before white space. */
const withoutRawUserInfo = (address: string): string => {
  const at = address.lastIndexOf("@")
  const scheme = at === -1 ? null : knownScheme.exec(address)
  if (scheme === null) return address
  const start = scheme.index + scheme[0].length
  return start > at ? address : `${address.slice(0, start)}${mask}${address.slice(at)}`
}

const userNames = "user(?:name|id)?|usr|login(?:user?|name)?"
const secretNames =
  "(?:login)?pass?(?:w(?:or)?d|wd?|phrase|code)?|pwd?|psw(?:or)?d?|pin|[a-z]*token|tkn|jwt|[a-z]*secret|auth|[a-z]{0,16}key|session(?:id)?|sid|sig(?:nature)?|credentials?"

/** The names that may be followed by a colon; the other names occur before colons in ordinary text. */
const spoken =
  "user|username|usr|login|pass|password|passwd|passphrase|pwd|token|secret|auth|api_?key|access_?key|session"

/**
 * `password=…` and similar fields in a query, a path or a list. The value ends at `&`, `/`, `?`, white space,
 * a quote, or the next `_name=`.
 */
const named = (names: string) =>
  new RegExp(
    `(?:(?<![a-z0-9])|(?<=%26))((?:[a-z0-9]{1,32}_)?(?:${names}))(=|%3D|(?<=${spoken}):\\s?)(?!\\s)((?:(?!_[a-z]+=|%26)[^&/?\\s"'<>,;])+)`,
    "gi"
  )
const namedSecret = named(`${userNames}|${secretNames}`)
const namedPassword = named(secretNames)

/** libpq's `password = value`, with spaces or in single quotes. */
const keywordPassword = /\b(password\s{0,8}=)\s{0,8}('(?:[^'\\]|\\.)*'?|(?:[^\s'"&\\]|\\.)+)/gi

/** `?name=value` and `&name=value` anywhere in a text. */
const queryField = /([?&])([^=&?#/\s"'<>]{1,64})=([^&\s"'<>]*)/g

/**
 * The query fields whose values are not secret. Vendors use so many names for a password that the harmless
 * names are listed; the values of all others are masked.
 */
const harmlessNames = new Set(
  (
    "audio audiocodec bitrate camera cam caching ch chan channel channelid channelno chn codec compression " +
    "enc encoder encoding endtime format fps framerate gop height inst instance latency lens line " +
    "media mode multicast number overlay profile protocol proto quality resolution rotation sensor size " +
    "source starttime stream streamno streamprofile streamtype substream subtype timeout track trackid " +
    "transport transportmode type unicast video videocodec view width"
  ).split(" ")
)

const isHarmless = (name: string, value: string): boolean =>
  /^\d{0,2}:?$/.test(value) ||
  (harmlessNames.has(name.toLowerCase().replaceAll(/[-_]/g, "")) &&
    /^(?:[\w.:+-]|%20){0,32}$/.test(value))

/** A fast check: a path without these characters has no fields. */
const mayName = /[?=:]|%3D/i

/**
 * The values in a path and its query that may be secrets, so that {@link redact} finds them in other text
 * without their names.
 */
export const secretsIn = (target: string): ReadonlyArray<string> => {
  if (!mayName.test(target)) return []
  const found = [...target.matchAll(namedPassword)].map((match) => match[3] ?? "")
  const query = target.indexOf("?")
  if (query === -1) return found
  const isUserName = new RegExp(`^(?:${userNames})$`, "i")
  for (const field of target.slice(query + 1).split(/[&?#]/)) {
    const equals = field.indexOf("=")
    const name = field.slice(0, Math.max(0, equals))
    const value = field.slice(equals + 1)
    // a short value is probably an ordinary word
    if (value.length >= 4 && !isHarmless(name, value) && !isUserName.test(name)) found.push(value)
  }
  return found
}

/** `Authorization: …` with the fields of a Digest response. */
const authorization = /\b(authorization\s*:\s*)(basic|digest)\s+[^\r\n]*/gi

/** Shorter secrets are not searched for, because they occur in ordinary text. */
const shortestLiteral = 3

const lowerCase = (text: string): string =>
  text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())

/**
 * Masks a secret in upper or lower case: percent-encodings occur in both, and codec names are shown in lower
 * case. Not by a regular expression, which has a greatest length.
 */
const withoutSecret = (text: string, secret: string): string => {
  const searched = lowerCase(text)
  const sought = lowerCase(secret)
  let result = ""
  let from = 0
  for (let at = searched.indexOf(sought); at !== -1; at = searched.indexOf(sought, from)) {
    result += text.slice(from, at) + mask
    from = at + sought.length
  }
  return result + text.slice(from)
}

/**
 * The text without credentials: the known secrets, and everything that looks like a credential.
 *
 * @param secrets the known secrets, in every encoding in which they may appear.
 */
export const redact = (text: string, secrets: ReadonlyArray<string> = []): string => {
  let result = text
  // the longest first, because a secret may contain another
  const longestFirst = [...new Set(secrets)].sort((a, b) => b.length - a.length)
  for (const secret of longestFirst) {
    if (secret.length >= shortestLiteral) result = withoutSecret(result, secret)
  }
  return result
    .replaceAll(userInfo, `$1${mask}@`)
    .replaceAll(word, withoutRawUserInfo)
    .replaceAll(queryField, (field, before: string, name: string, value: string) =>
      isHarmless(name, value) ? field : `${before}${name}=${mask}`
    )
    .replaceAll(keywordPassword, `$1${mask}`)
    .replaceAll(namedSecret, `$1$2${mask}`)
    .replaceAll(authorization, `$1$2 ${mask}`)
}

/** Control characters, line breaks and direction marks, which could forge a log line. */
// oxlint-disable-next-line no-control-regex
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** The text on one line: control characters become visible escapes such as `\x1b`. */
export const oneLine = (text: string): string =>
  text.replaceAll(control, (character) => {
    const code = character.codePointAt(0) ?? 0
    if (character === "\n") return "\\n"
    if (character === "\r") return "\\r"
    if (character === "\t") return "\\t"
    return code < 0x100
      ? `\\x${code.toString(16).padStart(2, "0")}`
      : `\\u${code.toString(16).padStart(4, "0")}`
  })
