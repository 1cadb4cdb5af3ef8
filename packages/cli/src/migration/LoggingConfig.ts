/** Reads a configuration of Python's logging: the ini file of `fileConfig`, or the mapping of `dictConfig`. Pure. */
import { readYaml } from "@restream/config"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { dictionary, type Literal, tuple } from "./PythonLiteral.ts"

/** A logger, a handler or a formatter. */
export interface Section {
  readonly name: string
  /** The position in the file: `restream_log.conf:12`. */
  readonly place: string
  readonly values: ReadonlyMap<string, Literal>
}

export interface LoggingConfig {
  /** The root logger has the name `root`. Its handlers are in the key `handlers`, separated by commas. */
  readonly loggers: ReadonlyArray<Section>
  readonly handlers: ReadonlyArray<Section>
  readonly formatters: ReadonlyArray<Section>
}

/** Parses the file, or fails with a message that names the expected format. */
export const parse = (name: string, text: string): Result.Result<LoggingConfig, string> =>
  /^\s*\[(?:loggers|handlers|formatters|(?:logger|handler|formatter)_\w+)\]/m.test(text)
    ? Result.succeed(fromIni(name, text))
    : fromDict(name, text)

interface IniSection {
  readonly title: string
  readonly line: number
  readonly values: Map<string, string>
}

/** As Python's configparser reads it: an indented line continues the value above. */
const iniSections = (text: string): ReadonlyArray<IniSection> => {
  const sections: Array<IniSection> = []
  let key: string | undefined
  for (const [index, line] of text.split(/\r\n?|\n/).entries()) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue
    const values = sections.at(-1)?.values
    const title = /^\[([^\]]+)\]/.exec(line)?.[1]
    const [, name, value = ""] = /^([^\s=:][^=:]*?)\s*[=:]\s*(.*)$/.exec(line) ?? []
    if (title !== undefined) {
      sections.push({ title: title.trim(), line: index + 1, values: new Map() })
      key = undefined
    } else if (/^\s/.test(line) && key !== undefined) {
      values?.set(key, `${values.get(key) ?? ""} ${line.trim()}`.trim())
    } else if (name !== undefined) {
      key = name.toLowerCase()
      values?.set(key, value.trim())
    }
  }
  return sections
}

/** The parameters of the handlers by position. */
const parameters: Readonly<Record<string, ReadonlyArray<string>>> = {
  StreamHandler: ["stream"],
  FileHandler: ["filename", "mode", "encoding"],
  WatchedFileHandler: ["filename", "mode", "encoding"],
  RotatingFileHandler: ["filename", "mode", "maxBytes", "backupCount", "encoding"],
  TimedRotatingFileHandler: ["filename", "when", "interval", "backupCount", "encoding"]
}

/** `RotatingFileHandler` for `logging.handlers.RotatingFileHandler`. */
export const className = ({ values }: Section): string =>
  String(values.get("class") ?? "").replace(/^.*\./, "")

const fromIni = (name: string, text: string): LoggingConfig => {
  const sections = iniSections(text)
  const of = (kind: string): ReadonlyArray<Section> =>
    sections.flatMap(({ line, title, values }) => {
      if (!title.startsWith(`${kind}_`)) return []
      const section: Section = {
        name: title.slice(kind.length + 1),
        place: `${name}:${line}`,
        values
      }
      const positions = parameters[className(section)] ?? []
      const args = tuple(values.get("args") ?? "").flatMap((value, index) => {
        const parameter = positions[index]
        return parameter === undefined ? [] : [[parameter, value] as const]
      })
      const all = [...values, ...args, ...dictionary(values.get("kwargs") ?? "")]
      return [{ ...section, values: new Map<string, Literal>(all) }]
    })
  return { loggers: of("logger"), handlers: of("handler"), formatters: of("formatter") }
}

const fromDict = (name: string, text: string): Result.Result<LoggingConfig, string> => {
  const content = readYaml({ name, text })
  const expected = `${name}: expected a configuration of Python's logging: [logger_root] and other sections, or a mapping with handlers`
  if (Result.isFailure(content)) return Result.fail(expected)
  const { placeOf, root } = content.success
  if (!Predicate.isObject(root) || !Predicate.isObject(root["handlers"])) {
    return Result.fail(expected)
  }
  const section = (title: string, path: ReadonlyArray<string>, value: unknown): Section => ({
    name: title,
    place: placeOf(path),
    values: new Map(
      Object.entries(Predicate.isObject(value) ? value : {}).map(([key, one]) => [
        key,
        Array.isArray(one) ? one.join(",") : typeof one === "number" ? one : String(one)
      ])
    )
  })
  const of = (kind: string): ReadonlyArray<Section> => {
    const group = root[kind]
    return Predicate.isObject(group)
      ? Object.entries(group).map(([title, value]) => section(title, [kind, title], value))
      : []
  }
  const rootLogger = root["root"] === undefined ? [] : [section("root", ["root"], root["root"])]
  return Result.succeed({
    loggers: [
      ...rootLogger,
      ...of("loggers").map((one) => ({
        ...one,
        name: one.name === "" ? "root" : one.name
      }))
    ],
    handlers: of("handlers"),
    formatters: of("formatters")
  })
}
