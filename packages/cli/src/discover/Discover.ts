/** Implements `restream discover` and `restream check --find`. Loaded by these commands only. */
import type { CameraList, Settings } from "@restream/config"
import { type Camera, type CameraRow, deviceOption, type InvalidCamera } from "@restream/core"
import { Discovery, MovedCameras } from "@restream/core/onvif"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { isIP } from "node:net"
import { exitStatus, Failure, usageFailure } from "../process/Failure.ts"
import { print, printMessage } from "../process/Output.ts"
import { devicesAs, type Format, proposal } from "./DiscoverReport.ts"

export interface DiscoverFlags {
  readonly format: Format
  readonly seconds: number
  readonly address: ReadonlyArray<string>
}

const defaultPort = 3702

const targetOf = (text: string): Discovery.Target | undefined => {
  const [, host = "", port = String(defaultPort)] = /^([^:]+)(?::(\d{1,5}))?$/.exec(text) ?? []
  return isIP(host) === 4 && Number(port) >= 1 && Number(port) <= 65_535
    ? { host, port: Number(port) }
    : undefined
}

const targetsOf = Effect.fnUntraced(function* (addresses: ReadonlyArray<string>) {
  const targets: Array<Discovery.Target> = []
  for (const text of addresses) {
    const target = targetOf(text)
    if (target === undefined) {
      return yield* usageFailure([
        `--address: "${text}" is not an IPv4 address with a port or none`
      ])
    }
    targets.push(target)
  }
  return targets.length === 0 ? undefined : targets
})

/** Discovers devices, and then reads the MAC addresses from the ARP table of the system. */
const discoverDevices = Effect.fnUntraced(function* (
  addresses: ReadonlyArray<string>,
  timeout: Duration.Duration
) {
  const targets = yield* targetsOf(addresses)
  const found = yield* Discovery.discover({ timeout, targets }).pipe(
    Effect.scoped,
    Effect.catch(({ message }) => usageFailure([message]))
  )
  const fs = yield* FileSystem.FileSystem
  // exists on Linux only
  const table = yield* Effect.orElseSucceed(fs.readFileString("/proc/net/arp"), () => "")
  return { found, neighbors: MovedCameras.neighborsOf(table) }
})

export const run = Effect.fnUntraced(function* (
  settings: Settings,
  { address, format, seconds }: DiscoverFlags
) {
  if (seconds < 1 || seconds > 60) {
    return yield* usageFailure([`--seconds: ${seconds} is out of range (1 to 60)`])
  }
  const { found, neighbors } = yield* discoverDevices(address, Duration.seconds(seconds))
  const devices = found.map((device) => ({ ...device, mac: neighbors.get(device.host) }))
  if (devices.length > 0 || format === "json") yield* print(devicesAs(format, devices, settings))
  const count = `${devices.length} camera${devices.length === 1 ? "" : "s"} responded within ${seconds} s`
  if (devices.length > 0) return yield* printMessage(count)
  return yield* new Failure({
    status: exitStatus.problems,
    lines: [
      `${count}; a camera responds if ONVIF and its discovery are switched on, and it is in a network of this machine`
    ]
  })
})

/** The column `device`, else the key `device` of the options: an endpoint reference or a MAC address. */
const deviceOf = ({ device, options }: CameraRow): string | undefined =>
  typeof device === "string" && device.trim() !== "" ? device : deviceOption(options)

/** Proposes the changes for cameras whose devices are found at other addresses. */
export const findMoved = Effect.fnUntraced(function* (
  list: CameraList,
  settings: Settings,
  rows: ReadonlyArray<CameraRow>,
  cameras: ReadonlyArray<Camera | InvalidCamera>,
  addresses: ReadonlyArray<string>
) {
  const devices = new Map(rows.map((row) => [String(row["id"]), deviceOf(row)]))
  const known = cameras.flatMap((camera): ReadonlyArray<MovedCameras.KnownCamera> => {
    const device = devices.get(camera.id)
    return camera._tag === "Camera" && device !== undefined
      ? [{ id: camera.id, name: camera.name, host: camera.url.host, device }]
      : []
  })
  if (known.length === 0) {
    return yield* printMessage(
      "--find: no row names its device; set the column device, or device in options, to what restream discover prints as DEVICE"
    )
  }
  const { found, neighbors } = yield* discoverDevices(addresses, Duration.seconds(3))
  const moves = MovedCameras.moved(known, found, neighbors)
  yield* printMessage(
    `--find: ${moves.length} of ${known.length} cameras with a known device are at another address${moves.length === 0 ? "" : "; nothing was changed"}`
  )
  const hosted = new Set(
    rows.flatMap((row) => (row["host"] == null || row["host"] === "" ? [] : [String(row["id"])]))
  )
  for (const move of moves) {
    yield* print(proposal(move, list, settings, hosted.has(move.camera.id) ? "host" : "url"))
  }
})
