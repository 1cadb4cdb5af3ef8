import * as Schema from "effect/Schema"

/**
 * The modules of the log, whose levels can be set individually (`log.modules`).
 *
 * - `camera`: the state of the cameras.
 * - `source`: the database with the table of cameras.
 * - `media-server`: the reachability of the media server.
 * - `supervisor`: changes of the camera list.
 * - `alerts`: the delivery of alerts.
 * - `engine`: details of the relay engines.
 * - `cluster`: which cameras this node of a cluster relays.
 * - `daemon`: the process: settings, signals, the log itself.
 */
export const LogModule = Schema.Literals([
  "camera",
  "source",
  "media-server",
  "supervisor",
  "alerts",
  "engine",
  "cluster",
  "daemon"
])
export type LogModule = typeof LogModule.Type
