/** A client of the database that remembers what a camera source asks. */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

/** What a statement of the source reads. */
export type Question = "count" | "fingerprint" | "ids" | "rows" | "shards"

const questionOf = (statement: string): Question | undefined => {
  if (statement.includes("limit 0")) return undefined
  if (statement.includes("sum(hashtextextended")) return "fingerprint"
  if (statement.startsWith("select count(*)")) return "count"
  if (statement.includes("restream_row.id = any(")) return "ids"
  return statement.includes("::bit(28)") && !statement.includes("union all") ? "shards" : "rows"
}

export const recording = (sql: PgClient.PgClient) => {
  const questions: Array<Question> = []
  const reserve = Effect.map(sql.reserve, (session) => {
    const { connection } = session as unknown as {
      readonly connection: { readonly query: (...args: ReadonlyArray<unknown>) => unknown }
    }
    const query = (statement: string, ...rest: ReadonlyArray<unknown>) => {
      const question = statement.startsWith("select") ? questionOf(statement) : undefined
      if (question !== undefined) questions.push(question)
      return connection.query(statement, ...rest)
    }
    return { ...session, connection: { query } }
  })
  return {
    client: new Proxy(sql, {
      get: (target, key) => (key === "reserve" ? reserve : Reflect.get(target, key))
    }),
    /** What was asked since the last call. */
    asked: () => questions.splice(0)
  }
}
