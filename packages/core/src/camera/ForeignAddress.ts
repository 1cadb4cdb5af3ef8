/** Addresses that were copied from the configuration of go2rtc or Frigate, or with their quotes. Pure. */

/** Sources of go2rtc that are not protocols of cameras, by the text before the first colon. */
const go2rtcSources = new Set(
  (
    "alsa bubble doorbird dvrip echo eseecloud exec expr flussonic gopro hass homekit isapi ivideon kasa " +
    "multitrans nest onvif pinggy ring roborock speak tapo tuya v4l2 vigi webrtc webtorrent wyze xiaomi yandex"
  ).split(" ")
)

/** The parameters of go2rtc after a `#`. */
const go2rtcParameters = new Set(
  (
    "async audio backchannel bitrate drawtext gop hardware height input killsignal killtimeout media " +
    "pkt_size query raw rotate starttimeout timeout transport tls_verify video width"
  ).split(" ")
)

const quotes = /^["'`\u2018-\u201f\u00ab\u2039<]/

/** The correction for an address in a foreign format; `undefined` for any other text. */
export const advice = (address: string): string | undefined => {
  if (quotes.test(address)) return "the address is in quotes; write it without them"
  if (/^-\s/.test(address))
    return 'the address begins with "- ", as in a YAML list; write it without that'
  const frigate = /\{FRIGATE_\w+\}/.exec(address)
  if (frigate !== null) {
    return `the address holds the placeholder ${frigate[0]} of Frigate; write the value in its place`
  }
  const scheme = /^([a-z0-9]+):/i.exec(address)?.[1]?.toLowerCase()
  if (scheme === "rtspx") {
    return "rtspx:// is a scheme of go2rtc; write rtsps:// and set options.insecure to true"
  }
  if (scheme === "ffmpeg") {
    return address.includes("://")
      ? "ffmpeg: is a source of go2rtc; write the address behind it, without # and what follows, and set options.engine to ffmpeg if the camera needs it"
      : "ffmpeg: is a source of go2rtc; write the address of the camera, such as rtsp://host/path"
  }
  return scheme !== undefined && go2rtcSources.has(scheme)
    ? `${scheme}: is a source of go2rtc that restream does not read; write the address of the camera, such as rtsp://host/path`
    : undefined
}

/** A line about the fragment of an address, which is not sent. Does not quote it: it may contain a secret. */
export const describeFragment = (fragment: string): string => {
  const names = fragment
    .split("#")
    .map((part) => part.split("=")[0] ?? "")
    .filter((name) => go2rtcParameters.has(name))
  return names.length > 0
    ? `the URL ends in ${names.map((name) => `#${name}`).join(", ")}, for go2rtc; not sent to the camera, and without effect`
    : "the part of the URL behind # is not sent to the camera; if it belongs to the path or the query, write # as %23"
}
