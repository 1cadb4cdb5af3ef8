export { StreamUrl, type StreamUrlParts } from "../camera/StreamUrl.ts"
export * as Aac from "./Aac.ts"
export * as Announcement from "./Announcement.ts"
export * as Authentication from "./Authentication.ts"
export * as BaseUrl from "./BaseUrl.ts"
export * as ChannelMap from "./ChannelMap.ts"
export * as Codec from "./Codec.ts"
export * as Digest from "./Digest.ts"
export * as Frame from "./Frame.ts"
export * as Framer from "./Framer.ts"
export * as H264 from "./H264.ts"
export * as H265 from "./H265.ts"
export * as Keyframe from "./Keyframe.ts"
export * as Message from "./Message.ts"
export * as Method from "./Method.ts"
export * as Mpeg4 from "./Mpeg4.ts"
export * as ParameterSets from "./ParameterSets.ts"
export * as Reception from "./Reception.ts"
export * as RelayOffer from "./RelayOffer.ts"
export * as Rtcp from "./Rtcp.ts"
export * as Rtp from "./Rtp.ts"
export * as RtpInfo from "./RtpInfo.ts"
export * as Sdp from "./Sdp.ts"
export * as SessionHeader from "./SessionHeader.ts"
export * as Transport from "./Transport.ts"

export * as CameraSession from "./client/CameraSession.ts"
export * as Connection from "./client/Connection.ts"
export * as Dialer from "./client/Dialer.ts"
export * as PublisherSession from "./client/PublisherSession.ts"
export * as Redirect from "./client/Redirect.ts"
export * as RtspError from "./client/RtspError.ts"

export type { Action, PathSettings, ServerAuthentication } from "./server/Broker.ts"
export type { ContentBaseQuirk, FrozenTracks, Quirks } from "./server/Quirks.ts"
export {
  BadDescription,
  ListenFailed,
  type LocalPublisher,
  PathTaken,
  RtspServer,
  RtspServerError,
  type RtspServerOptions
} from "./server/RtspServer.ts"
export type {
  PathStatus,
  PublisherStatus,
  ReaderStatus,
  ServerEvent
} from "./server/ServerEvent.ts"
export * as TestPattern from "./server/TestPattern.ts"
