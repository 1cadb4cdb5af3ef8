/** The name of a table, as PostgreSQL reads it ("Identifiers and Key Words"). */

/** A table's name, with its schema where one is given. Unquoted names are in lower case. */
export interface TableName {
  readonly schema: string | undefined
  readonly name: string
}

const identifier = String.raw`\s*(?:"((?:[^"\0]|""){1,63})"|([\p{L}_][\p{L}\p{N}_$]{0,62}))\s*`
const tableName = new RegExp(String.raw`^${identifier}(?:\.${identifier})?$`, "u")

/** Parses `cameras`, `video.cameras` or `"Video"."Cameras"`. */
export const parseTableName = (text: string): TableName | undefined => {
  const match = tableName.exec(text)
  if (match === null) return undefined
  const [, ...groups] = match
  const [first, second] = [groups.slice(0, 2), groups.slice(2)].map(
    ([quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain?.toLowerCase()
  )
  if (first === undefined) return undefined
  return second === undefined ? { schema: undefined, name: first } : { schema: first, name: second }
}
