/** Prometheus' own checks, where promtool is found: on PATH or as `PROMTOOL`. */
import { spawnSync } from "node:child_process"

const promtool = process.env["PROMTOOL"] ?? "promtool"

/** `undefined`: promtool is not installed, which is printed. */
export const check = (
  args: ReadonlyArray<string>,
  input?: string
): { readonly status: number | null; readonly output: string } | undefined => {
  const { error, status, stderr, stdout } = spawnSync(promtool, args, {
    ...(input === undefined ? {} : { input }),
    encoding: "utf8"
  })
  if (error !== undefined) {
    process.stdout.write(`skipped: promtool ${args.join(" ")} (${error.message})\n`)
    return undefined
  }
  return { status, output: stdout + stderr }
}
