/**
 * Makes `navigator.language` a tag that `Intl` accepts. The entry imports this module before all others, because uPlot
 * formats by `navigator.language` while it is loaded.
 *
 * Chromium that starts with LANG=C.UTF-8 has `en-US@posix`, which is no language tag.
 */
const isUsable = (tag: string | undefined): tag is string => {
  try {
    return tag !== undefined && Intl.getCanonicalLocales(tag).length === 1
  } catch {
    return false
  }
}

// a browser may break the types of the DOM
const { language, languages } = navigator as Partial<Pick<Navigator, "language" | "languages">>

if (!isUsable(language)) {
  // en-US@posix, en_US.UTF-8: a locale of the system
  const tags = [language, ...(languages ?? [])].map((tag) =>
    tag?.replace(/[@.].*$/, "").replaceAll("_", "-")
  )
  Object.defineProperty(navigator, "language", { value: tags.find(isUsable) ?? "en" })
}
