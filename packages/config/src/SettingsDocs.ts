/** The documents that the schema writes: docs/settings.md and restream.example.yaml. */
import { Document } from "yaml"
import type { Written } from "./Kind.ts"
import { inWords, type Setting } from "./Setting.ts"
import { settingGroups } from "./Settings.ts"

const titles: Readonly<Record<string, string>> = { "": "Camera types and plugins" }

const code = (text: string): string => `\`${text}\``

/** In a table's cell a bar ends the cell, even within code. */
const cell = (text: string): string => text.replaceAll("|", "\\|")

const unitOf = (setting: Setting): string =>
  setting.unit === undefined ? setting.values : `${setting.values} (${setting.unit})`

const names = (setting: Setting): string =>
  setting.env === undefined
    ? "only in the file"
    : [setting.env, ...setting.flags.map((flag) => `--${flag}`)].map(code).join(", ")

const shownDefault = (setting: Setting): string => {
  if (setting.default === undefined) return "none"
  const words = inWords(setting.default)
  return words === "" ? "empty" : code(words)
}

/** A table whose columns are as wide as their widest cell, so that a formatter leaves it alone. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length))
  )
  const line = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const [head = [], ...body] = rows
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)]
}

const settingRow = (setting: Setting): ReadonlyArray<string> =>
  [
    code(setting.key),
    shownDefault(setting),
    unitOf(setting),
    setting.secret ? `${setting.description} Secret.` : setting.description,
    setting.appliedBy,
    names(setting)
  ].map(cell)

const heads = ["Setting", "Default", "Value", "Meaning", "Change by", "Environment, flag"]

/** docs/settings.md */
export const settingsMarkdown = (): string =>
  [
    "# Settings",
    "",
    "<!-- Written by `npm run docs` from packages/config/src/Settings.ts; changes here are lost. -->",
    "",
    "A setting can stand in the settings file, in a flag and in the environment. The later of these wins: default, file, flag, environment. **The environment beats the flag.** An empty variable counts as missing. `restream config` shows every setting in force and where it came from, without secrets.",
    "",
    "The column _Change by_ tells how a daemon that runs takes over a change in its file: `reload` means that SIGHUP (`systemctl reload restream`) is enough, `restart` that it has to be started anew. A reload tells what it changed and what waits for a restart; a file with a fault changes nothing. Cameras whose address, path or options come out different are started anew, all others run on; a new time-out holds for relays and probes that begin after it.",
    "",
    "The file is the one that `RESTREAM_CONFIG` names, else the flag `--config FILE` (`-c`), else `restream.yaml` in the working folder, if there is one. A file that was read once must be there at a reload, too: its absence changes nothing and is told. `restream demo` reads none.",
    "",
    "The file is YAML: the part of a name before the dot is a group, the rest is indented below it. `restream.example.yaml` holds every setting with its default. A key, a flag or a variable `RESTREAM_…` that is not known stops the start, as does a value that is not understood: one line for each fault, all at once.",
    "",
    "- A **duration** has a unit: `500ms`, `10s`, `10 seconds`, `2 min`, `1.5 h`, `1 day`. A bare number is a fault.",
    "- A **size** has a unit, too: `10 MB` is 10,000,000 bytes and `10 MiB` is 10,485,760.",
    "- **True and false** are also written yes and no, on and off, 1 and 0.",
    "- A **list** is one of YAML in the file; in a flag or in the environment its items are separated by commas.",
    "- A **DSN** is `postgres://user:password@host:5432/database?sslmode=require`. In a user name or password the characters `/ # ? % @` are written `%2F %23 %3F %25 %40`. After the `?` may stand host (also the directory of a Unix socket), port, user, password, dbname, sslmode, sslrootcert, sslcert, sslkey, application_name, options and connect_timeout. Several hosts in one DSN are not supported. Without a user name it is the operating system's, as for psql; without a database's name the server takes that of the user. Nothing else counts: no `PGUSER`, `PGPASSWORD` or other variable of libpq's, no `~/.pgpass`.",
    ...settingGroups.flatMap((group) => [
      "",
      `## ${titles[group.key] ?? group.key}`,
      "",
      group.description,
      "",
      ...table([heads, ...group.settings.map(settingRow)])
    ]),
    ""
  ].join("\n")

/** A value on one line, as YAML. */
const yamlValue = (written: Written): string =>
  new Document(written)
    .toString({ collectionStyle: "flow", flowCollectionPadding: false, lineWidth: 0 })
    .trimEnd()

const pageWidth = 100

const comment = (text: string, indent: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = `${indent}#`
  for (const word of text.split(" ")) {
    if (line.length + 1 + word.length > pageWidth) {
      lines.push(line)
      line = `${indent}#`
    }
    line += ` ${word}`
  }
  return [...lines, line]
}

const exampleEntry = (setting: Setting, indent: string): ReadonlyArray<string> => {
  const name = setting.path.at(-1) ?? ""
  const value = setting.default === undefined ? "" : ` ${yamlValue(setting.default)}`
  const example =
    setting.example === undefined ? [] : comment(`Example: ${yamlValue(setting.example)}`, indent)
  return [
    ...comment(setting.description, indent),
    ...comment(`${unitOf(setting)}; ${names(setting).replaceAll("`", "")}`, indent),
    ...example,
    `${indent}#${name}:${value}`,
    ""
  ]
}

/** restream.example.yaml: every key with its default; without the `#` before a key it says the same. */
export const settingsExample = (): string =>
  [
    "# Every setting of restream with its default. Take away the # before a key to set it.",
    "# The environment beats a flag, a flag beats this file. Written by `npm run docs`.",
    "",
    ...settingGroups.flatMap((group) => {
      const isRoot = group.key === ""
      const entries = group.settings.flatMap((one) => exampleEntry(one, isRoot ? "" : "  "))
      return isRoot ? entries : comment(group.description, "").concat(`${group.key}:`, entries)
    })
  ].join("\n")
