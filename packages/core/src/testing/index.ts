export type { Action, PathSettings, ServerAuthentication } from "./rtsp-server/PathManager.ts"
export type { ContentBaseQuirk, FrozenTracks, Quirks } from "./rtsp-server/Quirks.ts"
export {
  BadDescription,
  ListenFailed,
  type LocalPublisher,
  PathTaken,
  RtspServer,
  RtspServerError,
  type RtspServerOptions
} from "./rtsp-server/RtspServer.ts"
export type { SessionLimit } from "./rtsp-server/SessionSlots.ts"
export type {
  PathStatus,
  PublisherStatus,
  ReaderStatus,
  ServerEvent
} from "./rtsp-server/ServerEvent.ts"
export * as TestPattern from "./test-pattern/TestPattern.ts"

export * as EmbeddedPostgres from "./postgres/EmbeddedPostgres.ts"
export { freePort, type HeldPort, holdPort } from "./postgres/FreePort.ts"
