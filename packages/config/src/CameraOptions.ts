/** The options of a camera: the defaults in `camera.*`, and per camera in the table's `options` column. */
import * as Schema from "effect/Schema"

/**
 * Which engine relays a camera.
 *
 * - `auto` uses `native`, and `ffmpeg` where `native` does not support the camera.
 * - `native` speaks RTSP in this process.
 * - `ffmpeg` starts one ffmpeg process per camera.
 */
export const EngineChoice = Schema.Literals(["auto", "native", "ffmpeg"])
export type EngineChoice = typeof EngineChoice.Type

/** How the camera sends its packets: inside the RTSP connection, or as UDP datagrams. */
export const Transport = Schema.Literals(["tcp", "udp"])
export type Transport = typeof Transport.Type

/**
 * How a camera's audio is relayed.
 *
 * - `auto` copies what the media server accepts, and transcodes the rest to AAC.
 * - `copy` never transcodes.
 * - `aac`, `opus` transcode to that codec; ffmpeg engine only.
 * - `drop` removes the audio.
 */
export const AudioPolicy = Schema.Literals(["auto", "copy", "aac", "opus", "drop"])
export type AudioPolicy = typeof AudioPolicy.Type

/**
 * Parses the SHA-256 fingerprint of a certificate, as `openssl x509 -fingerprint -sha256` prints it: 32 bytes
 * in hexadecimal, with or without colons.
 *
 * @returns the fingerprint in upper case without colons, so that two fingerprints can be compared.
 */
export const parseFingerprint = (text: string): string | undefined =>
  /^(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}$/i.test(text.trim())
    ? text.trim().replaceAll(":", "").toUpperCase()
    : undefined
