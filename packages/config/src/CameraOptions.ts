/**
 * The choices an operator has for one camera, and the defaults for all of them.
 *
 * They stand in the settings (`camera.*`) and, camera by camera, in the table's `options` column.
 */
import * as Schema from "effect/Schema"

/**
 * Which engine relays a camera.
 *
 * - `auto` takes `native`, and `ffmpeg` where `native` meets something that it does not support.
 * - `native` speaks RTSP itself, in this process.
 * - `ffmpeg` starts one ffmpeg process for the camera.
 */
export const EngineChoice = Schema.Literals(["auto", "native", "ffmpeg"])
export type EngineChoice = typeof EngineChoice.Type

/** How the camera is asked to send its packets: inside the RTSP connection, or as UDP datagrams. */
export const Transport = Schema.Literals(["tcp", "udp"])
export type Transport = typeof Transport.Type

/**
 * What happens to a camera's sound.
 *
 * - `auto` copies what the media server takes, and transcodes the rest to AAC.
 * - `copy` passes the track on as it is.
 * - `aac`, `opus` transcode to that codec; only the ffmpeg engine can.
 * - `drop` leaves the sound out.
 */
export const AudioPolicy = Schema.Literals(["auto", "copy", "aac", "opus", "drop"])
export type AudioPolicy = typeof AudioPolicy.Type

/**
 * The SHA-256 fingerprint of a certificate, as `openssl x509 -fingerprint -sha256` prints it:
 * 32 bytes in hexadecimal, with or without colons.
 */
export const CertificateFingerprint = Schema.String.check(
  Schema.isPattern(/^(?:[0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$/, {
    message: "Expected a SHA-256 fingerprint: 32 bytes in hexadecimal, with or without colons"
  })
)

/** The fingerprint without colons, in upper case, so that two of them can be compared. */
export const plainFingerprint = (fingerprint: string): string =>
  fingerprint.replaceAll(":", "").toUpperCase()
