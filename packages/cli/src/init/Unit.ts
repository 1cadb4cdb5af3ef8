/** The systemd unit of this installation, made of the one in deploy/systemd. */
import { realpathSync } from "node:fs"
import template from "../../../../deploy/systemd/restream.service"

export interface UnitOptions {
  /** The settings file. */
  readonly file: string
  /** The user that runs the daemon, and owns the settings file. */
  readonly user: string
}

/** Quotes an argument: systemd interprets quotes, and expands % and $. */
const quoted = (argument: string): string =>
  /^[\w./:@+-]+$/.test(argument)
    ? argument
    : `"${argument.replaceAll(/["\\]/g, "\\$&").replaceAll("%", "%%").replaceAll("$", "$$$$")}"`

export const unitText = ({ file, user }: UnitOptions): string => {
  const program = realpathSync(process.argv[1] ?? "restream")
  const command = [process.execPath, program, "run", "--config", file].map(quoted).join(" ")
  const isAtHome = [process.execPath, program, file].some((path) => /^\/(?:home|root)\//.test(path))
  return template
    .replace(/^# Installed as .*\n/, "# Written by restream init; docs/systemd.md describes it.\n")
    .replace(/^Documentation=.*\n/m, "")
    .replace(/^ExecStart=.*$/m, () => `ExecStart=${command}`)
    .replace(/^# PG_DSN=.*\nEnvironmentFile=.*\n/m, "")
    .replace(/^User=.*\nGroup=.*$/m, `User=${user}`)
    .replace(/^ProtectHome=.*$/m, `ProtectHome=${isAtHome ? "read-only" : "yes"}`)
}
