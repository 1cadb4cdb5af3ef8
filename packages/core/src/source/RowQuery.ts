/**
 * Builds the statements for PostgreSQL: any SELECT, with each row as one JSON text of the columns that are read.
 *
 * The driver reads values in PostgreSQL's binary format, knows that format for the common types, and treats all other
 * types as text. One column of another type, such as `point`, would fail the whole snapshot or yield garbage. The
 * server can convert every type to text, so the statements request text.
 */
import * as Shard from "../cluster/Shard.ts"
import type { CameraRow } from "./CameraSource.ts"
import type { Fingerprint } from "./KnownRows.ts"

/** A column of the result, as the driver describes it. */
export interface Column {
  readonly name: string
  /** The OID of the type; for a domain, the OID of its base type. */
  readonly dataTypeId: number
}

/**
 * The query as a subquery, to describe its columns: LIMIT 0 runs nothing. PostgreSQL accepts nothing that writes in a
 * subquery: no DELETE, and no WITH that contains a DELETE.
 */
export const asDescribed = (query: string): string =>
  // a comment at the end of the query ends with the line
  `select * from (\n${withoutSemicolon(query)}\n) restream_row limit 0`

/** `char(n)` and `char(n)[]`: PostgreSQL pads the values, and drops the padding in the cast to text. */
const unpadded: Readonly<Record<number, string>> = { 1042: "::text", 1014: "::text[]" }

const selectRow = "select row_to_json(restream_row.*)::text as row "

/**
 * The query with each row as one JSON text of the columns that are read.
 *
 * Columns are selected by position, because a query may give several columns the same name: the last one counts.
 *
 * @param columns all columns of {@link asDescribed}.
 * @param isRead whether the column with this name is read.
 */
export const asRows = (
  query: string,
  columns: ReadonlyArray<Column>,
  isRead: (name: string) => boolean
): string => {
  const last = new Map(columns.map(({ name }, index) => [name, index]))
  const list = columns.flatMap(({ dataTypeId, name }, index) =>
    isRead(name) && last.get(name) === index
      ? [`c${index}${unpadded[dataTypeId] ?? ""} as "${name.replaceAll('"', '""')}"`]
      : []
  )
  const aliases = columns.map((_, index) => `c${index}`)
  // `restream_row.*`, because a column named restream_row would take precedence over the row
  return `${selectRow}from (
select ${list.join(", ")} from (\n${withoutSemicolon(query)}\n) restream_result(${aliases.join(", ")})
) restream_row`
}

/**
 * The types whose text is the same in SQL and in JSON: integers, numeric, texts and uuid. A row can be selected by
 * the text of such an id.
 */
const plainTypes = new Set([20, 21, 23, 1700, 25, 1042, 1043, 19, 2950])

const idType = (columns: ReadonlyArray<Column>): number | undefined =>
  columns.findLast(({ name }) => name === "id")?.dataTypeId

/** Whether the ids in the result have such a type. */
export const hasPlainId = (columns: ReadonlyArray<Column>): boolean =>
  plainTypes.has(idType(columns) ?? 0)

/** The statement of {@link asRows}, for the rows with these ids. */
export const withIds = (rows: string, ids: Iterable<string>): string => {
  const quoted = Array.from(ids, (id) => `"${id.replaceAll(/["\\]/g, String.raw`\$&`)}"`)
  // an untyped literal: the server infers an array of the column's type
  const list = `{${quoted.join(",")}}`.replaceAll("\\", "\\\\").replaceAll("'", "''")
  return `${rows}\nwhere restream_row.id = any(E'${list}')`
}

/** The number of the rows of {@link asRows}. */
export const asCount = (rows: string): string =>
  `select count(*)::text as count ${rows.slice(selectRow.length)}`

/** The shards whose rows are read. */
export interface ShardsRead {
  readonly shards: Iterable<number>
  /** The number of all shards. */
  readonly count: number
}

const isInShards = ({ count, shards }: ShardsRead): string =>
  `${Shard.shardSql("restream_row.id", count)} = any('{${[...shards].sort((a, b) => a - b).join(",")}}'::int[])`

/** The statement of {@link asRows}, for the rows of some shards. */
export const withShards = (rows: string, read: ShardsRead): string =>
  `${rows}\nwhere ${isInShards(read)}`

/** Types whose text may contain a control character, which the id of a camera must not. */
const textTypes = new Set([19, 25, 1042, 1043])

/**
 * The statement of {@link asRows}, for the rows of some shards, and for rows that concern every node: rows without
 * an id, rows whose id contains control characters, and rows that claim the same path.
 */
export const withOwn = (rows: string, columns: ReadonlyArray<Column>, read: ShardsRead): string => {
  const own = isInShards(read)
  const concerns = [
    "restream_row.id is null",
    ...(textTypes.has(idType(columns) ?? 0) ? ["restream_row.id ~ '[[:cntrl:]]'"] : []),
    ...(columns.some(({ name }) => name === "path")
      ? [
          `restream_row.path::text in (select restream_row.path::text ${rows.slice(selectRow.length)}
where restream_row.path::text <> '' group by 1 having count(*) > 1)`
        ]
      : [])
  ]
  // the two are disjoint, and only the second one examines every row
  return `${rows}
where ${own}
union all
${rows}
where case when ${concerns.join(" or ")} then (${own}) is not true else false end`
}

/** The statement of {@link asRows}, with a hash of each row's text. */
export const asHashedRows = (rows: string): string =>
  // without OFFSET the planner would compute each text twice
  `select restream_json.row, hashtextextended(restream_json.row, 0)::text as hash from (
${rows}
offset 0) restream_json`

/**
 * The number of the rows of {@link asRows}, and the sum of their hashes, which changes with any change of a row and
 * does not depend on the order of the rows.
 */
export const asFingerprint = (rows: string): string =>
  `select count(*)::text as count, coalesce(sum(hashtextextended(restream_json.row, 0)), 0)::text as sum from (
${rows}
) restream_json`

/** Reads the result of {@link asFingerprint}. */
export const readFingerprint = (
  result: Readonly<Record<string, unknown>> | undefined
): Fingerprint => ({
  count: Number(result?.["count"]),
  sum: BigInt(String(result?.["sum"] ?? 0))
})

/**
 * Makes the server parse the unmodified query, without running it, for an error message that {@link asDescribed} does
 * not distort.
 */
export const asExplained = (query: string): string =>
  // without the parentheses, a query that begins with ANALYZE would be run
  `explain (costs off)\n${withoutSemicolon(query)}`

/** Texts, quoted names and line comments (PostgreSQL, "Lexical Structure"), or any one character. */
const token =
  /(?<!\w)[eE]'(?:[^'\\]|''|\\[\s\S])*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w$])(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\1|--[^\n\r]*|[\s\S]/y

const blockCommentEnd = (query: string, start: number): number => {
  const border = /\/\*|\*\//g
  border.lastIndex = start
  let depth = 0
  for (let match = border.exec(query); match !== null; match = border.exec(query)) {
    depth += match[0] === "/*" ? 1 : -1
    if (depth === 0) return border.lastIndex
  }
  return query.length
}

/** The query without the semicolon that ends it, which may have comments behind it. */
const withoutSemicolon = (query: string): string => {
  let semicolon: number | undefined
  let at = 0
  while (at < query.length) {
    if (query.startsWith("/*", at)) {
      at = blockCommentEnd(query, at)
      continue
    }
    token.lastIndex = at
    const found = token.exec(query)?.[0] ?? ""
    if (found === ";") semicolon ??= at
    // anything else after a semicolon is another statement, which the server rejects
    else if (semicolon !== undefined && !/^(?:\s|--)/.test(found)) return query
    at += found.length
  }
  return semicolon === undefined ? query : query.slice(0, semicolon)
}

/** Matches texts that may contain a number that JavaScript changes. Cheaper than a reviver for every row. */
const mayLoseDigits = /":-?(?:\d{16}|\d+\.)/

/** ECMA-262 25.5.1: the context of a reviver holds the source text of a number. */
type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown

/**
 * Parses a row of {@link asRows}. A number whose digits JavaScript would not keep, such as an id beyond 2^53, becomes
 * its source text.
 */
export const read = (json: string): CameraRow => {
  if (!mayLoseDigits.test(json)) return JSON.parse(json)
  const changed: Array<readonly [holder: unknown, key: string, source: string]> = []
  const keepDigits: Reviver = function (key, value, { source }) {
    if (typeof value === "number" && source !== undefined && String(value) !== source) {
      changed.push([this, key, source])
    }
    return value
  }
  const row = JSON.parse(json, keepDigits as (this: any, key: string, value: any) => any)
  // only for columns: numbers within a JSON value remain JSON numbers
  for (const [holder, key, source] of changed) if (holder === row) row[key] = source
  return row
}
