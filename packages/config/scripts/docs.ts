/** Writes docs/settings.md and restream.example.yaml. Run by `npm run docs`. */
// oxlint-disable no-restricted-imports -- it writes files, and is no part of the package
import { writeFile } from "node:fs/promises"
import { settingsExample, settingsMarkdown } from "@restream/config"

const root = new URL("../../../", import.meta.url)

await writeFile(new URL("docs/settings.md", root), settingsMarkdown())
await writeFile(new URL("restream.example.yaml", root), settingsExample())
