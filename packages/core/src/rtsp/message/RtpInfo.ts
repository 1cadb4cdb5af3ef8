/** The `RTP-Info` header in the response to `PLAY`: the start of each track (RFC 2326 §12.33). */

export interface RtpInfo {
  readonly url: string
  /** Sequence number of the first packet. */
  readonly sequence: number | undefined
  /** RTP timestamp of the start of the range. */
  readonly timestamp: number | undefined
}

const whole = (digits: string | undefined): number | undefined =>
  digits === undefined || !/^\d{1,10}$/.test(digits) ? undefined : Number(digits)

/** Parses the entries and skips invalid ones. A comma inside a URL belongs to the URL. */
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
