/** The dashboard of one node of a cluster, in a real browser, against two daemons as they are built. */
import { assert, describe, layer } from "@effect/vitest"
import { freePort, TestPattern } from "@restream/core/testing"
import { Effect } from "effect"
import { missing } from "../kit/Browser.ts"
import { restream } from "../kit/Command.ts"
import { Postgres } from "../kit/Postgres.ts"
import { awaitText, by, faults, overflow, site } from "./Visit.ts"

const rowCount = 12

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "the dashboard of a node",
  (it) => {
    describe.skipIf(missing !== undefined)(missing ?? "in Chromium", () => {
      it.effect("shows the cameras of all nodes, and says which node does not respond", () =>
        Effect.gen(function* () {
          const { cameras, env, sql, startDaemon, visit } = yield* site
          yield* TestPattern.publish(cameras, "gate", {})
          yield* sql`insert into cameras (name, url)
            select 'Camera ' || n, ${cameras.url("gate")} from generate_series(1, ${rowCount}) n`
          yield* restream(["db", "init", "--cluster"], env)
          const cluster = {
            RESTREAM_CLUSTER_ENABLED: "yes",
            // so long a node that has ended is one that does not respond
            RESTREAM_CLUSTER_LEASE: "30s",
            RESTREAM_PROBE_PER_HOST: "32"
          }
          const southPort = yield* freePort
          const [, south] = yield* Effect.all(
            [
              startDaemon({ ...cluster, RESTREAM_CLUSTER_NAME: "north" }),
              startDaemon({
                ...cluster,
                RESTREAM_CLUSTER_NAME: "south",
                RESTREAM_HTTP_PORT: String(southPort)
              })
            ],
            { concurrency: "unbounded" }
          )

          const overview = yield* visit()
          yield* awaitText(overview, ".sentence", /All 12 cameras are live/)
          yield* awaitText(overview, ".nodes tr:has-text('north')", /this node/)
          const southRow = overview.page.locator(".nodes tr:has-text('south')")
          yield* awaitText(overview, ".nodes tr:has-text('south')", /reachable.*[1-9].*bit\/s/s)
          const ofSouth = Number(
            /\d+/.exec(yield* by(() => southRow.getByRole("cell").nth(1).innerText()))?.[0]
          )
          assert.isAbove(ofSouth, 0)
          assert.isBelow(ofSouth, rowCount)

          // from the table to the cameras of the node, by the keyboard
          const list = yield* visit()
          yield* by(() =>
            list.page.getByRole("link", { name: "south", exact: true }).press("Enter")
          )
          yield* awaitText(list, ".list-line", new RegExp(`${ofSouth} of 12 cameras`))
          const nodeCells = list.page.locator("[role=rowgroup] .node")
          assert.deepStrictEqual(
            new Set(yield* by(() => nodeCells.allInnerTexts())),
            new Set(["south"])
          )
          yield* by(() => list.page.getByRole("combobox", { name: "Node" }).selectOption(""))
          yield* by(() => list.page.getByRole("button", { name: "Node" }).press("Enter"))
          yield* awaitText(list, ".list-line", /12 of 12 cameras/)
          // the focus holds the order of the rows
          yield* by(() => list.page.getByRole("searchbox").focus())
          yield* awaitText(list, "[role=rowgroup] [role=row][aria-rowindex='2'] .node", /north/)
          const sorted = yield* by(() => nodeCells.allInnerTexts())
          assert.deepStrictEqual(sorted, sorted.toSorted())
          yield* by(() => list.page.getByRole("searchbox").fill("SOUTH"))
          yield* awaitText(list, ".list-line", new RegExp(`${ofSouth} of 12 cameras`))

          // a camera of the other node, with what that node alone knows
          yield* by(() =>
            list.page.locator("[role=rowgroup] [role=row]").first().getByRole("link").click()
          )
          yield* awaitText(list, "h1", /live.*node south/)
          yield* awaitText(list, ".log", /Camera/)
          yield* by(() => list.page.getByRole("button", { name: "Restart" }).press("Enter"))
          yield* by(() =>
            list.page.getByRole("dialog").getByRole("button", { name: "Restart" }).press("Enter")
          )
          yield* awaitText(list, ".actions [role=status]", /the relay is restarted/)

          south.process.kill("SIGKILL")
          yield* south.ended
          yield* awaitText(overview, "[role=alert]", /Node south does not respond/)
          yield* awaitText(overview, ".sentence.bad", /1 node does not respond/)
          yield* awaitText(overview, ".nodes tr.unreachable", /south.*unreachable/s)
          assert.match(yield* by(() => overview.page.title()), /^\((!|\d+)\)/)
          for (const [colorScheme, width] of [
            ["light", 1280],
            ["dark", 360]
          ] as const) {
            for (const hash of ["", "#/cameras"]) {
              const visited = yield* visit(hash, {
                colorScheme,
                viewport: { width, height: 740 }
              })
              yield* awaitText(visited, "[role=alert]", /south does not respond/)
              yield* awaitText(visited, hash === "" ? ".nodes" : "[role=table]", /north/)
              assert.deepStrictEqual(yield* faults(visited), [], `${hash}, ${colorScheme}`)
              assert.strictEqual(yield* overflow(visited), 0, `${hash} is wider than the screen`)
            }
          }
          assert.deepStrictEqual(overview.complaints, [])
        })
      )
    })
  }
)
