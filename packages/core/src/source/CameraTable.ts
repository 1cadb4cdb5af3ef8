/** The table that `restream db init` creates, and the triggers that notify of its changes. */
import type { TableName } from "@restream/config"
import { optionNames } from "../camera/CameraOptions.ts"
import * as Shard from "../cluster/Shard.ts"

const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`

/** The name in SQL, quoted. */
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

/** `create schema if not exists` alone requires the right to create schemas, even if the schema exists. */
export const createSchema = (schema: string): string => `do $$
begin
  if to_regnamespace(${literal(quoted(schema))}) is null then
    create schema if not exists ${quoted(schema)};
  end if;
end
$$`

/** The columns of a table in SQL, one per line, with their comments. */
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

/** The most ids in one notification; PostgreSQL allows 8,000 bytes. */
const mostIds = 100

/** An UPDATE of more rows is not compared to find the changed rows. */
const mostCompared = 1_000

/**
 * The function that notifies of the changed rows: `{"ids":["7","8"]}`, or an empty text if any row may have changed.
 * A trigger without an argument, such as a trigger of an older version, sends the empty text.
 */
const notifyFunction = (
  name: string,
  channel: string,
  watched: ReadonlyArray<string> | "all"
): string => {
  const content = (rows: string) =>
    watched === "all" ? `${rows}::text` : `row(${watched.map(quoted).join(", ")})::text`
  const select = (rows: string) => `select id::text, ${content(rows)} from ${rows}`
  return `create or replace function ${name}() returns trigger language plpgsql as $$
declare
  ids text[] := array[null];
  payload text := '';
begin
  if tg_nargs = 0 then
    -- TRUNCATE, or the trigger of an older version
  elsif tg_op = 'INSERT' then
    select array_agg(id) into ids from (select id::text from new_rows limit ${mostIds + 1}) few;
  elsif tg_op = 'DELETE' then
    select array_agg(id) into ids from (select id::text from old_rows limit ${mostIds + 1}) few;
  elsif (select count(*) from (select from new_rows limit ${mostCompared + 1}) few) <= ${mostCompared} then
    select array_agg(id) into ids from (
      select id from (
        (${select("old_rows")} except all ${select("new_rows")})
        union all
        (${select("new_rows")} except all ${select("old_rows")})
      ) changed (id, content) group by id limit ${mostIds + 1}
    ) few;
  end if;
  if ids is null then
    return null;
  end if;
  if cardinality(ids) <= ${mostIds} and array_position(ids, null) is null then
    payload := json_build_object('ids', ids);
  end if;
  perform pg_notify(${literal(channel)}, case when octet_length(payload) < 8000 then payload else '' end);
  return null;
end
$$`
}

export interface TriggerOptions {
  /**
   * The columns whose UPDATE notifies. Default: the columns of the default table, so that updates of an added column,
   * such as a time of last contact, cost nothing.
   */
  readonly watched?: ReadonlyArray<string> | "all" | undefined
  /** Whether the table has a column `id`, which notifications name. Default true. */
  readonly hasId?: boolean | undefined
}

/**
 * The statements that create the table, the notifying function and the triggers. All are idempotent, and none
 * changes rows.
 *
 * The triggers fire once per statement, not once per row: a bulk load of 10,000 cameras sends one notification. A
 * notification is only a hint to read the table.
 */
export const initStatements = (
  table: TableName,
  channel: string,
  { hasId = true, watched = columns.map(([name]) => name) }: TriggerOptions = {}
): ReadonlyArray<string> => {
  const sql = tableSql(table)
  const notify = tableSql({ schema: table.schema, name: `${table.name}_notify` })
  const trigger = (name: string, event: string, call: string) =>
    `create or replace trigger ${quoted(name)}
  after ${event} for each statement execute function ${notify}(${call})`
  const updateOf = watched === "all" ? "" : ` of ${watched.map(quoted).join(", ")}`
  return [
    ...(table.schema === undefined ? [] : [createSchema(table.schema)]),
    `create table if not exists ${sql} (\n${columnLines(columns)}\n)`,
    notifyFunction(notify, channel, watched),
    ...(hasId
      ? [
          // one trigger for several events has no transition tables
          trigger("restream_insert", `insert on ${sql} referencing new table as new_rows`, "'ids'"),
          trigger(
            "restream_update",
            `update on ${sql} referencing old table as old_rows new table as new_rows`,
            "'ids'"
          ),
          trigger("restream_delete", `delete on ${sql} referencing old table as old_rows`, "'ids'"),
          trigger(`${table.name}_notify`, `truncate on ${sql}`, "")
        ]
      : [
          trigger(
            `${table.name}_notify`,
            `insert or delete or truncate or update${updateOf} on ${sql}`,
            ""
          )
        ])
  ]
}

/** The index by which a node of a cluster finds the rows of its shards. */
export const shardIndex = (table: TableName, shards: number): string =>
  `create index if not exists ${quoted(`${table.name}_shard_of_${shards}`)} on ${tableSql(table)} ((${Shard.shardSql("id", shards)}))`

/** The query for all cameras when no query is set. */
export const selectAll = (table: TableName): string => `select * from ${tableSql(table)}`
