/** The names of a cluster's tables in SQL. */

type Table = "runners" | "locks" | "refusals" | "runner_migrations" | "runners_machine_id_seq"

/** The name of a table or of the sequence, quoted if needed: the prefix may have capital letters. */
export const named = (prefix: string, table: Table): string => {
  const name = `${prefix}_${table}`
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`
}
