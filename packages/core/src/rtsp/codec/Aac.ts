/** The AAC configuration in a description (ISO/IEC 14496-3 §1.6.2.1; RFC 3640, RFC 6416). */
import { BitReader } from "./BitReader.ts"

const sampleRates = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
  7_350
]

const lowComplexity = 2
const spectralBandReplication = 5
const parametricStereo = 29

export interface AudioSpecificConfig {
  /** In Hz, of the decoded audio: twice the core's rate with spectral band replication. */
  readonly sampleRate: number
  /** 0: signalled in the stream. */
  readonly channels: number
}

const readSampleRate = (reader: BitReader): number => {
  const index = reader.bits(4)
  return index === 15 ? reader.bits(24) : (sampleRates[index] ?? 0)
}

/**
 * Parses what MediaMTX also parses: low complexity, with or without spectral band replication. `undefined`
 * for other configurations, which make MediaMTX reject the whole announcement (mediacommon,
 * `audio_specific_config.go`).
 */
const readConfig = (reader: BitReader): AudioSpecificConfig | undefined => {
  const type = reader.bits(5)
  const extended = type === spectralBandReplication || type === parametricStereo
  if (type !== lowComplexity && !extended) return undefined
  let sampleRate = readSampleRate(reader)
  const layout = reader.bits(4)
  if (sampleRate === 0 || layout > 7) return undefined
  let channels = layout === 7 ? 8 : layout
  if (extended) {
    sampleRate = readSampleRate(reader)
    if (sampleRate === 0 || reader.bits(5) !== lowComplexity) return undefined
    if (type === parametricStereo) channels = 2
  }
  reader.skip(1)
  if (reader.flag()) reader.skip(14)
  const hasExtension = reader.flag()
  return hasExtension || reader.overrun ? undefined : { sampleRate, channels }
}

/** Decodes hexadecimal; `undefined` if the text is not hexadecimal. */
const fromHex = (hex: string): Uint8Array | undefined =>
  /^(?:[0-9a-f]{2})+$/i.test(hex) ? Buffer.from(hex, "hex") : undefined

/** Parses the `config` of `MPEG4-GENERIC` (RFC 3640 §4.1). */
export const parseConfig = (hex: string): AudioSpecificConfig | undefined => {
  const bytes = fromHex(hex)
  return bytes === undefined ? undefined : readConfig(new BitReader(bytes))
}

/** Parses the `config` of `MP4A-LATM`, with one program and one layer (RFC 6416 §7.3). */
export const parseMuxConfig = (hex: string): AudioSpecificConfig | undefined => {
  const bytes = fromHex(hex)
  if (bytes === undefined) return undefined
  const reader = new BitReader(bytes)
  const version = reader.bit()
  const sameFraming = reader.bit()
  reader.skip(6)
  const programs = reader.bits(4)
  const layers = reader.bits(3)
  return version === 0 && sameFraming === 1 && programs === 0 && layers === 0
    ? readConfig(reader)
    : undefined
}
