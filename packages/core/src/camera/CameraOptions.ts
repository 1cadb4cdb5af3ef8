/** What an operator may choose for one camera, in the table's `options` column. */
import {
  AudioPolicy,
  CertificateFingerprint,
  EngineChoice,
  plainFingerprint,
  Transport
} from "@restream/config"
import * as Schema from "effect/Schema"

/** A camera's options, with every choice made. */
export const CameraOptions = Schema.Struct({
  /** Which engine relays the camera. Default `auto`. */
  engine: EngineChoice,
  /** How the camera is asked to send its packets. Default `tcp`. */
  transport: Transport,
  /** What happens to the camera's sound. Default `auto`. */
  audio: AudioPolicy,
  /**
   * Whether packets are stamped with our clock instead of the camera's. It mends cameras whose clock
   * jumps, and harms others. Only the ffmpeg engine can. Default `false`.
   */
  wallclock: Schema.Boolean,
  /** Whether any certificate of an `rtsps` camera is taken, without looking. Default `false`. */
  insecure: Schema.Boolean,
  /**
   * The one certificate that is taken from an `rtsps` camera, instead of those that an authority signed:
   * its SHA-256 without colons, in upper case.
   */
  fingerprint: Schema.UndefinedOr(CertificateFingerprint)
})
export type CameraOptions = typeof CameraOptions.Type

const chosen = <S extends Schema.Constraint>(schema: S) => Schema.optional(Schema.NullOr(schema))

/** The options that a row gives; those that it leaves out are the defaults'. */
export const CameraOptionsColumn = Schema.NullishOr(
  Schema.Struct({
    engine: chosen(EngineChoice),
    transport: chosen(Transport),
    audio: chosen(AudioPolicy),
    wallclock: chosen(Schema.Boolean),
    insecure: chosen(Schema.Boolean),
    fingerprint: chosen(CertificateFingerprint)
  })
)
export type CameraOptionsColumn = typeof CameraOptionsColumn.Type

/** The row's choices over the defaults. */
export const withDefaults = (
  column: CameraOptionsColumn,
  defaults: CameraOptions
): CameraOptions => ({
  engine: column?.engine ?? defaults.engine,
  transport: column?.transport ?? defaults.transport,
  audio: column?.audio ?? defaults.audio,
  wallclock: column?.wallclock ?? defaults.wallclock,
  insecure: column?.insecure ?? defaults.insecure,
  fingerprint:
    column?.fingerprint == null ? defaults.fingerprint : plainFingerprint(column.fingerprint)
})
