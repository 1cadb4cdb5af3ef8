/** The MPEG-4 Part 2 video configuration in a description (ISO/IEC 14496-2, table 6-3; RFC 6416). */

const sequenceStart = 0xb0
const visualObjectStart = 0xb5
const userDataStart = 0xb2

const isVideoObject = (code: number): boolean => code <= 0x1f
const isVideoObjectLayer = (code: number): boolean => code >= 0x20 && code <= 0x2f

/**
 * Whether MediaMTX accepts a `config`; an invalid one makes it reject the whole announcement (mediacommon,
 * `mpeg4video`). Valid is a visual object sequence with an object and a layer, and without frames.
 */
export const isConfig = (hex: string): boolean => {
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex)) return false
  const bytes = Buffer.from(hex, "hex")
  const codes: Array<number> = []
  for (let at = 0; at + 3 < bytes.length; at++) {
    if (bytes[at] !== 0 || bytes[at + 1] !== 0 || bytes[at + 2] !== 1) continue
    if (codes.length === 0 && at > 0) return false
    codes.push(bytes[at + 3] ?? 0)
    at += 3
  }
  const [first, ...rest] = codes
  return (
    first === sequenceStart &&
    rest.some(isVideoObject) &&
    rest.some(isVideoObjectLayer) &&
    rest.every(
      (code) =>
        isVideoObject(code) ||
        isVideoObjectLayer(code) ||
        code === visualObjectStart ||
        code === userDataStart
    )
  )
}
