/** The names of the tables of a cluster, as SQL reads them. */

type Table = "runners" | "locks" | "refusals" | "runner_migrations" | "runners_machine_id_seq"

/** The name of a table, or of the sequence, quoted where it has to be: the prefix may have capital letters. */
export const named = (prefix: string, table: Table): string => {
  const name = `${prefix}_${table}`
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name}"`
}
