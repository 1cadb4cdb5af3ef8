/** The table that `restream db init` makes, and the trigger that notifies of its changes. */
import type { TableName } from "@restream/config"
import { optionNames } from "../camera/CameraOptions.ts"

const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

/** The name as SQL takes it, quoted. */
export const tableSql = ({ name, schema }: TableName): string =>
  schema === undefined ? quoted(name) : `${quoted(schema)}.${quoted(name)}`

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

/** The columns of the default table, in its order. */
export const columns = [
  ["id", "bigint generated always as identity primary key", ""],
  ["name", "text", "for people"],
  [
    "type",
    "text not null default 'url'",
    "camera type: url, hikvision, dahua, axis, or one of yours"
  ],
  ["url", "text", "whole address, for the type url"],
  ["host", "text", "for the vendors' types"],
  ["port", "integer", "default 554"],
  ["username", "text", "for the vendors' types, and for a url without a user of its own"],
  ["password", "text", ""],
  ["channel", "integer", "the camera's input, default 1"],
  ["stream", "text", "main (default) or sub"],
  ["path", "text", "path on the media server; default by the setting mediaServer.pathTemplate"],
  ["enabled", "boolean not null default true", ""],
  ["options", "jsonb", `${optionNames.join(", ")}, for this camera only`]
] as const

/** `if not exists` alone wants the right to make schemas, even where there is nothing to make. */
export const createSchema = (schema: string): string => `do $$
begin
  if to_regnamespace(${literal(quoted(schema))}) is null then
    create schema if not exists ${quoted(schema)};
  end if;
end
$$`

/** The columns of a table as SQL, one a line, with their comments. */
export const columnLines = (
  columns: ReadonlyArray<readonly [name: string, type: string, comment: string]>
): string => {
  const width = Math.max(...columns.map(([name]) => name.length))
  const lines = columns.map(([name, type, comment], index) => {
    const comma = index === columns.length - 1 ? "" : ","
    return `  ${name.padEnd(width)} ${type}${comma}${comment === "" ? "" : ` -- ${comment}`}`
  })
  return lines.join("\n")
}

/**
 * The statements that make the table, the notifying function and the trigger. Each can run again
 * without harm, and none touches rows.
 *
 * The trigger fires once a statement, not once a row: a bulk load of 10,000 cameras sends one
 * notification. Its message is empty, because a notification is only a hint to look.
 *
 * @param watched the columns whose UPDATE notifies. Default: the columns of the
 * default table, so that an added column, such as a time of last contact, costs nothing.
 */
export const initStatements = (
  table: TableName,
  channel: string,
  watched: ReadonlyArray<string> | "all" = columns.map(([name]) => name)
): ReadonlyArray<string> => {
  const sql = tableSql(table)
  const notify = tableSql({ schema: table.schema, name: `${table.name}_notify` })
  const trigger = quoted(`${table.name}_notify`)
  const updateOf = watched === "all" ? "" : ` of ${watched.map(quoted).join(", ")}`
  return [
    ...(table.schema === undefined ? [] : [createSchema(table.schema)]),
    `create table if not exists ${sql} (\n${columnLines(columns)}\n)`,
    `create or replace function ${notify}() returns trigger language plpgsql as $$
begin
  perform pg_notify(${literal(channel)}, '');
  return null;
end
$$`,
    `create or replace trigger ${trigger}
  after insert or delete or truncate or update${updateOf} on ${sql}
  for each statement execute function ${notify}()`
  ]
}

/** What reads all cameras when no query is set. */
export const selectAll = (table: TableName): string => `select * from ${tableSql(table)}`
