/** XML elements by their local names, because devices use arbitrary prefixes. */
import { parseXml, type XmlElement } from "@rgrove/parse-xml"

const localName = (name: string): string => name.replace(/^.*:/s, "")

const isElement = (node: object): node is XmlElement => "name" in node && "children" in node

/** The root element of a document; `undefined` if it is not XML. */
export const parse = (text: string): XmlElement | undefined => {
  try {
    // some devices send zeros or blank lines around the document
    const start = text.indexOf("<")
    return parseXml(text.slice(start, text.lastIndexOf(">") + 1)).root ?? undefined
  } catch {
    return undefined
  }
}

/** The children with one of these names. */
export const children = (
  element: XmlElement | undefined,
  ...names: ReadonlyArray<string>
): ReadonlyArray<XmlElement> =>
  (element?.children ?? [])
    .filter(isElement)
    .filter(({ name }) => names.length === 0 || names.includes(localName(name)))

/** The first element along a path of names. */
export const find = (
  element: XmlElement | undefined,
  ...path: ReadonlyArray<string>
): XmlElement | undefined =>
  path.reduce<XmlElement | undefined>((at, name) => children(at, name)[0], element)

/** The text of the first element along a path of names; `undefined` if it is missing or empty. */
export const text = (
  element: XmlElement | undefined,
  ...path: ReadonlyArray<string>
): string | undefined => find(element, ...path)?.text.trim() || undefined

/** The local name of an element. */
export const nameOf = ({ name }: XmlElement): string => localName(name)

/** Any text as the content of an element. */
export const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

export type { XmlElement }
