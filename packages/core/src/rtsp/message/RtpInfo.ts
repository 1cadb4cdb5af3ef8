/** The `RTP-Info` header in the answer to `PLAY`: where each track begins (RFC 2326 §12.33). */

export interface RtpInfo {
  readonly url: string
  /** Sequence number of the first packet. */
  readonly sequence: number | undefined
  /** RTP timestamp of the range's start. */
  readonly timestamp: number | undefined
}

const whole = (digits: string | undefined): number | undefined =>
  digits === undefined || !/^\d{1,10}$/.test(digits) ? undefined : Number(digits)

/** Reads the entries; what can't be read is left out. A comma in a URL is part of it. */
export const parse = (value: string): ReadonlyArray<RtpInfo> =>
  value
    .split(/,\s*(?=url=)/i)
    .map((entry) => {
      const [first = "", ...rest] = entry.trim().split(/;\s*(?=seq=|rtptime=|ssrc=)/i)
      const parameters = new Map(
        rest.map((part) => {
          const [name = "", content = ""] = part.split("=", 2)
          return [name.trim().toLowerCase(), content.trim()]
        })
      )
      return {
        url: first.replace(/^url\s*=\s*/i, "").replaceAll('"', ""),
        sequence: whole(parameters.get("seq")),
        timestamp: whole(parameters.get("rtptime"))
      }
    })
    .filter((entry) => entry.url !== "")

export const render = (entries: ReadonlyArray<RtpInfo>): string =>
  entries
    .map(({ sequence, timestamp, url }) =>
      [
        `url=${url}`,
        ...(sequence === undefined ? [] : [`seq=${sequence}`]),
        ...(timestamp === undefined ? [] : [`rtptime=${timestamp}`])
      ].join(";")
    )
    .join(",")
