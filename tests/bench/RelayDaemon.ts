/** The command `restream run` of a benchmark that relays: as a process of its own, with its settings in the environment. */
import { pathToFileURL } from "node:url"
import { program } from "../kit/Program.ts"
import { asTheDaemon, Child } from "./Child.ts"

export interface RelayDaemonOptions {
  readonly args: ReadonlyArray<string>
  /** The database. */
  readonly dsn: string
  /** The media server on loopback. */
  readonly sinkPort: number
  /** Further settings. */
  readonly env: NodeJS.ProcessEnv
}

/** Starts it. Its warnings and errors go to ours, and it tells the delay of its event loop when asked. */
export const start = ({ args, dsn, env, sinkPort }: RelayDaemonOptions) =>
  Child.start(pathToFileURL(program), {
    args,
    nodeArgs: [...asTheDaemon, "--import", new URL("loop-delay.ts", import.meta.url).href],
    onStderr: (log) => {
      if (/ level=(?:warn|error|fatal) /.test(log)) process.stderr.write(log)
    },
    env: {
      PG_DSN: dsn,
      MEDIA_SERVER_HOST: "127.0.0.1",
      MEDIA_SERVER_PORT: String(sinkPort),
      // all cameras are one host here, and the ramp is not what is measured
      RESTREAM_PROBE_PER_HOST: "32",
      RESTREAM_RELAY_START_SPACING: "0s",
      ...env
    }
  })
