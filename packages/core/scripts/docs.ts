/** Writes docs/camera-types.md. Run by `npm run docs`. */
// oxlint-disable no-restricted-imports -- it writes a file, and is no part of the package
import { writeFile } from "node:fs/promises"
import { cameraTypesMarkdown } from "@restream/core"

await writeFile(new URL("../../../docs/camera-types.md", import.meta.url), cameraTypesMarkdown())
