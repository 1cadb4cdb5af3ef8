/** The entries of the troubleshooting page, for a terminal. Pure. */
import { posix } from "node:path"
import { fitted, wrapped } from "../text/Table.ts"

export interface Entry {
  /** The reason, such as `Refused`, or a title, such as `A mass stop is held`. */
  readonly name: string
  /** The heading above it: `The camera`. */
  readonly section: string
  /** Paragraphs, without emphasis and links. */
  readonly paragraphs: ReadonlyArray<string>
}

/** All entries, in the order of the document. Its links start at `folder`. */
export const entriesOf = (document: string, folder = "docs"): ReadonlyArray<Entry> =>
  document
    .split(/^## /m)
    .slice(1)
    .flatMap((part) => {
      const [section = "", ...entries] = part.split(/^### /m)
      return entries.map((entry) => {
        const [name = "", ...paragraphs] = entry.trim().split(/\n{2,}/)
        return { name, section: firstLine(section), paragraphs: paragraphs.map(plain(folder)) }
      })
    })

const firstLine = (text: string): string => text.split("\n", 1).join()

/** Markdown without emphasis. The target of a link is a file of the documentation. */
const plain =
  (folder: string) =>
  (text: string): string =>
    text
      .replaceAll("**", "")
      .replaceAll(
        /\[([^\]]+)\]\(([\w./-]+\.md)[^)]*\)/g,
        (_, words: string, target: string) => `${words} (${posix.join(folder, target)})`
      )

/** The text of an entry in lines of at most `width` columns. */
export const entryText = ({ name, paragraphs }: Entry, width: number): string =>
  [
    name,
    ...paragraphs.map((paragraph) =>
      paragraph
        .split("\n")
        .flatMap((line) => wrapped(line, width))
        .join("\n")
    )
  ].join("\n\n")

/** The names of all entries by section. */
export const listText = (entries: ReadonlyArray<Entry>, width: number): string =>
  [...new Set(entries.map(({ section }) => section))]
    .map((section) =>
      [
        section,
        ...entries
          .filter((entry) => entry.section === section)
          .map(({ name }) => fitted(`  ${name}`, width))
      ].join("\n")
    )
    .join("\n\n")
