/** `restream cluster`: the nodes that share the cameras. */
import type { Settings } from "@restream/config"
import { NodeTable, SqlProblem } from "@restream/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { isSqlError } from "effect/sql/SqlError"
import { inDatabase } from "../database/TableSetup.ts"
import { failOnSettings, usageFailure } from "../process/Failure.ts"
import { print } from "../process/Output.ts"
import { databaseOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import { table } from "../text/Table.ts"
import { restream } from "./restream.ts"

/** The nodes whose lease is valid, or expired less than one lease ago. */
const nodesOf = ({ cluster: { lease, tablePrefix } }: Settings) =>
  Effect.map(NodeTable.list(tablePrefix), (rows) =>
    rows
      .map((row) => ({ ...row, leaseLeftMs: Duration.toMillis(lease) - row.heartbeatAgeMs }))
      .filter(({ leaseLeftMs }) => leaseLeftMs >= -Duration.toMillis(lease))
  )

/** The SQLSTATE of a table that does not exist. */
const isMissingTable = (error: unknown): boolean =>
  isSqlError(error) && SqlProblem.codeOf(error) === "42P01"

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

const withDatabase = Effect.fnUntraced(function* <A, E, R>(
  use: (settings: Settings) => Effect.Effect<A, E, R>
) {
  const { settings } = yield* failOnSettings(
    loadSettings(settingFlagsOf(yield* restream), { database: true })
  )
  const dsn = yield* failOnSettings(databaseOf(settings))
  return yield* use(settings).pipe(
    Effect.catchIf(isMissingTable, () =>
      Effect.fail(
        usageFailure([`cluster: ${NodeTable.missingTables(settings.cluster.tablePrefix)}`])
      )
    ),
    inDatabase(dsn, settings),
    failOnSettings
  )
})

const setActive = (name: string, active: boolean) =>
  withDatabase(
    Effect.fnUntraced(function* (settings: Settings) {
      const nodes = yield* nodesOf(settings)
      if (!nodes.some((node) => node.name === name)) {
        return yield* usageFailure([
          `there is no node ${name}; the nodes are: ${nodes.map((node) => node.name).join(", ")}`
        ])
      }
      if (!active && !nodes.some((node) => node.name !== name && node.active)) {
        return yield* usageFailure([
          `node ${name} is the only active node: no other node could take its cameras`
        ])
      }
      yield* NodeTable.setActive(settings.cluster.tablePrefix, name, active)
      yield* print(
        active ? `node ${name} takes cameras again` : `node ${name} hands its cameras over`
      )
    })
  )

const node = Argument.String("node").pipe(Argument.withDescription("The name of the node"))

const drain = Command.make("drain", { node }, ({ node }) => setActive(node, false)).pipe(
  Command.withDescription(
    "Makes a node hand all its cameras over; it takes none until restream cluster resume, or until it is restarted"
  )
)

const resume = Command.make("resume", { node }, ({ node }) => setActive(node, true)).pipe(
  Command.withDescription("Lets a node that was drained take cameras again")
)

export const cluster = Command.make(
  "cluster",
  {
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print a JSON document"),
      Flag.withDefault(false)
    )
  },
  ({ json }) =>
    withDatabase(
      Effect.fnUntraced(function* (settings: Settings) {
        const nodes = yield* nodesOf(settings)
        if (json) return yield* print(JSON.stringify({ nodes }, undefined, 2))
        if (nodes.length === 0) return yield* print("no node is running")
        yield* print(
          table([
            ["node", "state", "weight", "shards", "last heartbeat", "lease"],
            ...nodes.map(({ active, heartbeatAgeMs, leaseLeftMs, name, shards, weight }) => [
              name,
              active ? "active" : "draining",
              String(weight),
              String(shards),
              `${seconds(heartbeatAgeMs)} ago`,
              leaseLeftMs > 0
                ? `valid for ${seconds(leaseLeftMs)}`
                : `expired ${seconds(-leaseLeftMs)} ago`
            ])
          ])
        )
      })
    )
).pipe(
  Command.withDescription("Lists the nodes that share the cameras, as the database knows them"),
  Command.withSubcommands([drain, resume])
)
