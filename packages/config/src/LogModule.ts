import * as Schema from "effect/Schema"

/**
 * The rooms that write to the log, each with a level of its own by `log.modules`.
 *
 * - `camera`: what happens to a camera.
 * - `source`: the database with the list of cameras.
 * - `media-server`: whether the media server is there.
 * - `supervisor`: what changed in the list.
 * - `engine`: what the engines have to tell beyond a camera's state.
 * - `daemon`: the process itself: settings, signals, the log.
 */
export const LogModule = Schema.Literals([
  "camera",
  "source",
  "media-server",
  "supervisor",
  "engine",
  "daemon"
])
export type LogModule = typeof LogModule.Type
