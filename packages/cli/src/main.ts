/** The commands of the command line. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { alerts } from "./command/alerts.ts"
import { restart, retry } from "./command/camera.ts"
import { check } from "./command/check.ts"
import { config } from "./command/config.ts"
import { cluster } from "./command/cluster.ts"
import { db } from "./command/db.ts"
import { demo } from "./command/demo.ts"
import { discover } from "./command/discover.ts"
import { explain } from "./command/explain.ts"
import { init } from "./command/init.ts"
import { man } from "./command/man.ts"
import { migrateLogConfig } from "./command/migrateLogConfig.ts"
import { restream } from "./command/restream.ts"
import { run } from "./command/run.ts"
import { snapshot } from "./command/snapshot.ts"
import { types } from "./command/types.ts"
import { status } from "./command/status.ts"
import { commandTree } from "./process/CommandTree.ts"
import { runMain } from "./process/Main.ts"
import * as Output from "./process/Output.ts"
import { completions } from "./process/Completions.ts"
import * as Usage from "./process/Usage.ts"
import { version } from "./version.ts"

const root = restream.pipe(
  Command.withSubcommands([
    init,
    run,
    check,
    status,
    retry,
    restart,
    snapshot,
    discover,
    explain,
    alerts,
    demo,
    cluster,
    db,
    config,
    types,
    migrateLogConfig,
    man
  ])
)
commandTree.root = root

root.pipe(
  Command.run({ version }),
  Effect.provide(
    Layer.mergeAll(
      NodeServices.layer,
      Usage.layer,
      Output.layerConsole,
      // without the flag --log-level of Effect, which is a setting here
      CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, completions] })
    )
  ),
  runMain
)
