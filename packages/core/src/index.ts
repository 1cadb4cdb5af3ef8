// the cameras
export * from "./camera/Camera.ts"
export * from "./camera/CameraOptions.ts"
export * as MediaPath from "./camera/MediaPath.ts"
export * as PercentEncoding from "./camera/PercentEncoding.ts"
export * as Reason from "./camera/Reason.ts"
export * as Redaction from "./camera/Redaction.ts"
export * as Roster from "./camera/Roster.ts"
export type { CameraRow } from "./camera/Roster.ts"
export * from "./camera/StreamUrl.ts"
// their types
export * as CameraType from "./camera-type/CameraType.ts"
export * from "./camera-type/CameraTypes.ts"
export * as Column from "./camera-type/Column.ts"
export * as UrlTemplate from "./camera-type/UrlTemplate.ts"
// where they are listed
export * from "./source/CameraSource.ts"
export * as CameraTable from "./source/CameraTable.ts"
export * as MemoryCameraSource from "./source/MemoryCameraSource.ts"
export * as PgCameraSource from "./source/PgCameraSource.ts"
export * as Polling from "./source/Polling.ts"
// how they are probed and relayed
export * from "./engine/Engine.ts"
export * from "./probe/Prober.ts"
export * as ProbeLimits from "./probe/ProbeLimits.ts"
export * from "./relay/Relay.ts"
export * as StartPacing from "./relay/StartPacing.ts"
// where they go
export * from "./media-server/MediaServer.ts"
// who minds them
export * as Diff from "./supervision/Diff.ts"
export * as RestartSchedule from "./supervision/RestartSchedule.ts"
export * as RetrySchedule from "./supervision/RetrySchedule.ts"
export * from "./supervision/Supervisor.ts"
// how they do
export * as CameraState from "./status/CameraState.ts"
export * as History from "./status/History.ts"
export * from "./status/StatusBoard.ts"
