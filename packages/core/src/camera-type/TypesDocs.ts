/** Documents the built-in camera types as Markdown: docs/camera-types.md. */
import { builtin } from "./CameraTypes.ts"

const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``

/** The page on the built-in camera types. Written by `npm run docs`. */
export const cameraTypesMarkdown = (): string => {
  const rows = builtin.map(({ columns = [], description, name }) => {
    const required = columns.filter(({ isRequired }) => isRequired)
    const [vendor = "", ...address] = description.split(": ")
    const form = address.join(": ")
    return `| ${code(name)} | ${vendor} | ${form === "" ? "" : code(form)} | ${required.map(({ name }) => code(name)).join(", ")} |`
  })
  return `# Camera types

<!-- Written by \`npm run docs\` from the types themselves. -->

A camera type makes the address of a stream from the columns of a row. \`restream types\` lists the types of an installation, with those of its settings and plugins.

The types of vendors read the columns \`host\`, \`port\`, \`username\`, \`password\`, \`channel\` (an input of a recorder or of a camera with several lenses, counted from 1) and \`stream\`: \`main\` (default), \`sub\`, \`third\`, or the vendor's own word for the stream, as it stands in the address. What a vendor's newest firmware or oldest model does differently takes the type \`url\` with the whole address.

| type | cameras | address | required columns |
| ---- | ------- | ------- | ---------------- |
${rows.join("\n")}
`
}
