/** The examples in the help of each command, by the command. */
import type { ExampleDoc } from "effect/cli/HelpDoc"

const dsn = "postgres://restream:secret@db/cameras"

const examples: Readonly<
  Record<string, ReadonlyArray<readonly [command: string, description: string]>>
> = {
  restream: [
    ["restream init", "Write restream.yaml, by answering questions"],
    ["restream check", "Which cameras fail, and why"],
    ["restream run", "The daemon"]
  ],
  "restream init": [
    ["restream init", "Ask for the database and the media server"],
    [
      `restream init --yes --pg-dsn ${dsn} --media-server-host mediamtx`,
      "Ask nothing, for scripts"
    ],
    ["restream init --yes --source-file cameras.yaml", "Without a database"]
  ],
  "restream run": [
    [`PG_DSN=${dsn} MEDIA_SERVER_HOST=mediamtx restream run`, "With the cameras of a database"],
    ["restream run --source-file cameras.yaml", "With the cameras of a file"],
    ["restream run --config /etc/restream/restream.yaml", "As a service"]
  ],
  "restream check": [
    ["restream check --wrong", "List failed cameras only"],
    ["restream check --camera 7 --camera 9 --force", "Probe two cameras, also if they are relayed"],
    ["restream check --explain 7", "How the address of camera 7 came about, and each step"],
    ["restream check --json", "For other programs"]
  ],
  "restream status": [
    ["restream status", "What is wrong, since when, and what to do"],
    ["restream status --all --watch", "Follow all cameras"],
    ["restream status 7", "One camera: what is wrong, its stream, and where to watch it"]
  ],
  "restream retry": [["restream retry 7 9", "Try two cameras now"]],
  "restream restart": [["restream restart 7", "Restart the relay of camera 7"]],
  "restream explain": [
    ["restream explain", "List all reasons"],
    ["restream explain Unauthorized", "What it means and what to do"]
  ],
  "restream alerts": [["restream alerts test", "Send a test alert to all webhooks"]],
  "restream alerts test": [["restream alerts test ops", "Send a test alert to one webhook"]],
  "restream demo": [["restream demo --cameras 10 --duration 2min", "Ten cameras for two minutes"]],
  "restream cluster": [["restream cluster", "List the nodes with their shards"]],
  "restream cluster drain": [["restream cluster drain node-a", "Hand the cameras of a node over"]],
  "restream cluster resume": [
    ["restream cluster resume node-a", "Let the node take cameras again"]
  ],
  "restream db": [["restream db init", "Create the table of cameras"]],
  "restream db init": [
    [`PG_DSN=${dsn} restream db init`, "Create the table of cameras and its trigger"],
    ["restream db init --print", "Print the SQL instead"],
    ["restream db init --cluster", "Create the tables of a cluster"]
  ],
  "restream db sql": [["restream db sql | psql", "Create the table with psql"]],
  "restream config": [["restream config", "All settings with their origins, without secrets"]],
  "restream types": [["restream types", "All camera types with their columns"]],
  "restream migrate-log-config": [
    [
      "restream migrate-log-config etc/restream_log.conf >> restream.yaml",
      "Append the block log: to the settings"
    ]
  ],
  "restream man": [
    ["restream man | man -l -", "Read the manual page"],
    ["restream man > ~/.local/share/man/man1/restream.1", "Install it"]
  ]
}

/** The examples of a command that has none of its own. */
export const examplesOf = (commandPath: ReadonlyArray<string>): ReadonlyArray<ExampleDoc> =>
  (examples[commandPath.join(" ")] ?? []).map(([command, description]) => ({
    command,
    description
  }))
