/**
 * The camera types of vendors whose addresses are a fixed path for each stream.
 *
 * Each row of the table names where its address was found. "List" is the list of RTSP paths of CamioCam (CamioCam/rtsp
 * on GitHub, cameras/paths.csv of 2026-01-17), against which `tests/camera-type/Vendors.test.ts` compares them.
 */
import * as Result from "effect/Result"
import { InvalidUrl } from "../../camera/Reason.ts"
import { encode } from "../../camera/PercentEncoding.ts"
import * as CameraType from "../CameraType.ts"
import * as Redacted from "effect/Redacted"
import { dahua } from "./dahua.ts"
import { hikvision } from "./hikvision.ts"
import { vendorColumns, vendorUrl } from "./vendor.ts"

/** What an address is made of. */
interface Choice {
  /** The row's channel; `undefined` for a camera with one input. */
  readonly channel: number | undefined
  /** What the vendor calls the stream. */
  readonly stream: string
  /** As plain text, for the few vendors that require them in the path. */
  readonly username: string
  readonly password: string
}

interface Vendor {
  readonly name: string
  readonly description: string
  /** What the vendor calls the streams `main`, `sub`, `third` and so on, in this order. */
  readonly streams: ReadonlyArray<string>
  readonly target: (choice: Choice) => string
  /** The vendor's port, if it is not that of RTSP. */
  readonly port?: number
}

const ranks = ["main", "sub", "third", "fourth"]

/** The vendor's name for the stream of a row; `undefined` for an unknown stream. */
const streamOf = (
  streams: ReadonlyArray<string>,
  wanted: string | undefined
): string | undefined => {
  const name = wanted?.trim().toLowerCase() ?? "main"
  const rank = ranks.indexOf(name)
  return rank === -1 ? streams.find((stream) => stream.toLowerCase() === name) : streams[rank]
}

const vendor = ({ description, name, port, streams, target }: Vendor): CameraType.CameraType =>
  CameraType.make({
    name,
    description,
    columns: vendorColumns,
    toUrl: (columns) => {
      const stream = streamOf(streams, columns.stream)
      if (stream === undefined) {
        const known = new Set([...ranks.slice(0, streams.length), ...streams])
        return Result.fail(
          new InvalidUrl({ detail: `column stream: the value is not ${[...known].join(", ")}` })
        )
      }
      return vendorUrl(
        { ...columns, port: columns.port ?? port },
        target({
          channel: columns.channel,
          stream,
          username: columns.username ?? "",
          password: columns.password === undefined ? "" : Redacted.value(columns.password)
        })
      )
    }
  })

/** A type with the addresses of another type: a brand of the same manufacturer. */
const brandOf = (
  type: CameraType.CameraType,
  name: string,
  description: string
): CameraType.CameraType => ({ ...type, name, description: `${description}: as ${type.name}` })

const twoDigits = (value: number): string => String(value).padStart(2, "0")

/** Hanwha counts channels from 0, and profile 1 is MJPEG (list; Wisenet, "RTSP URL of each profile"). */
const hanwha = vendor({
  name: "hanwha",
  description: "Hanwha Wisenet: /profile{2|3}/media.smp, with a channel /{channel - 1}/profile…",
  streams: ["2", "3", "4"],
  target: ({ channel, stream }) =>
    `${channel === undefined ? "" : `/${channel - 1}`}/profile${stream}/media.smp`
})

export const vendors: ReadonlyArray<CameraType.CameraType> = [
  brandOf(dahua, "amcrest", "Amcrest"),
  brandOf(dahua, "lorex", "Lorex recorders and cameras made by Dahua"),
  brandOf(hikvision, "annke", "Annke"),
  brandOf(hikvision, "hilook", "HiLook and HiWatch"),
  hanwha,
  brandOf(hanwha, "samsung", "Samsung Techwin"),
  vendor({
    // list
    name: "acti",
    description: "ACTi: port 7070, /track{1|2|3}",
    streams: ["1", "2", "3"],
    port: 7070,
    target: ({ stream }) => `/track${stream}`
  }),
  vendor({
    // Arecont Vision, "AV HTTP and RTSP commands": res=half is the quarter-size picture. The list adds tuning.
    name: "arecont",
    description: "Arecont Vision: /h264.sdp?res={full|half}",
    streams: ["full", "half"],
    target: ({ stream }) => `/h264.sdp?res=${stream}`
  }),
  vendor({
    // list
    name: "avigilon",
    description: "Avigilon cameras: /default{Primary|Secondary}?streamType=u",
    streams: ["Primary", "Secondary"],
    target: ({ stream }) => `/default${stream}?streamType=u`
  }),
  vendor({
    // Bosch, "RTSP usage with Bosch VIP devices": `line` selects the input, `inst` the stream
    name: "bosch",
    description: "Bosch: /rtsp_tunnel?line={channel}&inst={1|2|3}",
    streams: ["1", "2", "3"],
    target: ({ channel, stream }) => `/rtsp_tunnel?line=${channel ?? 1}&inst=${stream}`
  }),
  vendor({
    // list
    name: "dlink",
    description: "D-Link: /live{1|2|3}.sdp",
    streams: ["1", "2", "3"],
    target: ({ stream }) => `/live${stream}.sdp`
  }),
  vendor({
    // list; the sub stream by Foscam, "How to get the RTSP URL of HD cameras"
    name: "foscam",
    description: "Foscam: port 88, /video{Main|Sub}",
    streams: ["Main", "Sub"],
    port: 88,
    target: ({ stream }) => `/video${stream}`
  }),
  vendor({
    // list
    name: "geovision",
    description: "Geovision recorders: port 8554, /CH{channel, three digits}.sdp",
    streams: ["main"],
    port: 8554,
    target: ({ channel }) => `/CH${String(channel ?? 1).padStart(3, "0")}.sdp`
  }),
  vendor({
    // Grandstream, "GXV36xx user manual", RTSP: 0, 4 and 8 are the first channel's streams; list: 4
    name: "grandstream",
    description: "Grandstream: /{0|4|8}",
    streams: ["0", "4", "8"],
    target: ({ stream }) => `/${stream}`
  }),
  vendor({
    // i-PRO, network camera CGI specification, "RTSP"
    name: "i-pro",
    description: "i-PRO: /MediaInput/stream_{1|2}",
    streams: ["1", "2", "3", "4"],
    target: ({ stream }) => `/MediaInput/stream_${stream}`
  }),
  vendor({
    // Milesight support, "RTSP stream of Milesight network camera"
    name: "milesight",
    description: "Milesight: /{main|sub|third}, with a channel /channel{channel}/{main|sub|third}",
    streams: ["main", "sub", "third"],
    target: ({ channel, stream }) =>
      `${channel === undefined ? "" : `/channel${channel}`}/${stream}`
  }),
  vendor({
    // list
    name: "mobotix",
    description: "Mobotix: /mobotix.h264",
    streams: ["main"],
    target: () => "/mobotix.h264"
  }),
  vendor({
    // OpenIPC, "Majestic streamer", RTSP
    name: "openipc",
    description: "OpenIPC: /stream={0|1}",
    streams: ["0", "1"],
    target: ({ stream }) => `/stream=${stream}`
  }),
  vendor({
    // list
    name: "panasonic",
    description: "Panasonic before i-PRO: /MediaInput/h264",
    streams: ["main"],
    target: () => "/MediaInput/h264"
  }),
  vendor({
    // list
    name: "reolink",
    description: "Reolink: /h264Preview_{channel, two digits}_{main|sub}",
    streams: ["main", "sub"],
    target: ({ channel, stream }) => `/h264Preview_${twoDigits(channel ?? 1)}_${stream}`
  }),
  vendor({
    // list
    name: "sony",
    description: "Sony: /media/video{1|2|3}",
    streams: ["1", "2", "3"],
    target: ({ stream }) => `/media/video${stream}`
  }),
  vendor({
    // TP-Link, "How to view Tapo cameras through RTSP"; the account is the camera account of the app
    name: "tapo",
    description: "TP-Link Tapo and VIGI: /stream{1|2}",
    streams: ["1", "2"],
    target: ({ stream }) => `/stream${stream}`
  }),
  vendor({
    // Tiandy, as its users found it: /channel/stream
    name: "tiandy",
    description: "Tiandy: /{channel}/{1|2|3}",
    streams: ["1", "2", "3"],
    target: ({ channel, stream }) => `/${channel ?? 1}/${stream}`
  }),
  vendor({
    // list
    name: "trendnet",
    description: "Trendnet: /Streaming/channels/10{1|2}",
    streams: ["1", "2"],
    target: ({ channel, stream }) =>
      `/Streaming/channels/${channel ?? 1}${twoDigits(Number(stream))}`
  }),
  vendor({
    // list
    name: "tvt",
    description: "TVT recorders: /?chID={channel}&streamType={main|sub}&linkType=tcp",
    streams: ["main", "sub"],
    target: ({ channel, stream }) => `/?chID=${channel ?? 1}&streamType=${stream}&linkType=tcp`
  }),
  vendor({
    // list; a camera that UniFi Protect manages serves no RTSP: take the address that Protect shows, as type url
    name: "ubiquiti",
    description: "Ubiquiti UniFi cameras in standalone mode: /s{0|1|2}",
    streams: ["0", "1", "2"],
    target: ({ stream }) => `/s${stream}`
  }),
  vendor({
    // list for recorders (streams counted from 0); Uniview, "media/video" for cameras (counted from 1)
    name: "uniview",
    description:
      "Uniview: /media/video{1|2|3} for a camera, with a channel /unicast/c{channel}/s{0|1|2}/live",
    streams: ["1", "2", "3"],
    target: ({ channel, stream }) =>
      channel === undefined
        ? `/media/video${stream}`
        : `/unicast/c${channel}/s${Number(stream) - 1}/live`
  }),
  vendor({
    // list
    name: "vivotek",
    description: "Vivotek: /live{channel}s{1|2|3|4}.sdp",
    streams: ["1", "2", "3", "4"],
    target: ({ channel, stream }) => `/live${channel ?? 1}s${stream}.sdp`
  }),
  vendor({
    // Xiongmai wants the credentials in the path, as its firmware prints them; it asks for no others
    name: "xiongmai",
    description:
      "Xiongmai and XMEye: /user={username}_password={password}_channel={channel}_stream={0|1}.sdp?real_stream",
    streams: ["0", "1"],
    target: ({ channel, password, stream, username }) =>
      `/user=${encode(username)}_password=${encode(password)}_channel=${channel ?? 1}_stream=${stream}.sdp?real_stream`
  }),
  vendor({
    // list
    name: "zavio",
    description: "Zavio: /video.pro{1|2|3|4}",
    streams: ["1", "2", "3", "4"],
    target: ({ stream }) => `/video.pro${stream}`
  }),
  vendor({
    // the stream URLs on a camera's own settings page, as noted in philbertmaluu/chato-smart-parking on GitHub
    name: "zkteco",
    description: "ZKTeco: /ch{channel, two digits}{|_sub|_third}",
    streams: ["", "_sub", "_third"],
    target: ({ channel, stream }) => `/ch${String(channel ?? 1).padStart(2, "0")}${stream}`
  })
]
