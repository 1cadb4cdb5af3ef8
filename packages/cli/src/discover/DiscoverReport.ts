/** The output of `restream discover` and `restream check --find`. Pure. */
import { type CameraList, parseTableName, type Settings } from "@restream/config"
import { CameraTable } from "@restream/core"
import type { Discovery, MovedCameras } from "@restream/core/onvif"
import { table } from "../text/Table.ts"

export type Format = "table" | "insert" | "yaml" | "csv" | "json"

/** A device, with the MAC address of its host where the system knows it. */
export type ListedDevice = Discovery.FoundDevice & { readonly mac: string | undefined }

/** Removes characters that are unsafe in SQL, YAML, CSV or a terminal: a device may send any text. */
const plain = (text: string): string =>
  text
    .replaceAll(/[^\p{L}\p{N} ._()/-]/gu, "")
    .replace(/^[-.\s]+/, "")
    .trim()

const nameOf = ({ hardware, host, name }: ListedDevice): string =>
  plain(name) || plain(hardware) || host

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`

const tableOf = ({ database }: Settings): string =>
  CameraTable.tableSql(
    parseTableName(database.table) ?? { schema: undefined, name: database.table }
  )

const insert = (device: ListedDevice, settings: Settings): string => {
  const { endpoint, host, port } = device
  const options = JSON.stringify({ device: endpoint })
  const values = [nameOf(device), "onvif", host].map(literal)
  return `insert into ${tableOf(settings)} (name, type, host, port, options) values (${values.join(", ")}, ${port}, ${literal(options)});`
}

const yaml = (device: ListedDevice): string => {
  const { endpoint, host, port } = device
  const fields = {
    name: nameOf(device),
    type: "onvif",
    host,
    port,
    device: endpoint
  }
  // JSON is YAML
  return Object.entries(fields)
    .map(
      ([key, value], index) => `${index === 0 ? "  - " : "    "}${key}: ${JSON.stringify(value)}`
    )
    .join("\n")
}

const csv = (device: ListedDevice): string =>
  [nameOf(device), "onvif", device.host, String(device.port), device.endpoint]
    .map((field) => `"${field}"`)
    .join(",")

export const devicesAs = (
  format: Format,
  devices: ReadonlyArray<ListedDevice>,
  settings: Settings
): string => {
  switch (format) {
    case "insert":
      return devices.map((device) => insert(device, settings)).join("\n")
    case "yaml":
      return ["cameras:", ...devices.map(yaml)].join("\n")
    case "csv":
      return ["name,type,host,port,device", ...devices.map(csv)].join("\n")
    case "json":
      return JSON.stringify(
        {
          devices: devices.map(({ addresses, endpoint, hardware, host, mac, name, port }) => ({
            host,
            port,
            name: plain(name),
            hardware: plain(hardware),
            mac: mac ?? null,
            device: endpoint,
            addresses
          }))
        },
        undefined,
        2
      )
    case "table":
      return table([
        ["HOST", "PORT", "NAME", "MODEL", "MAC", "DEVICE"],
        ...devices.map(({ endpoint, hardware, host, mac, name, port }) => [
          host,
          String(port),
          plain(name),
          plain(hardware),
          mac ?? "",
          endpoint
        ])
      ])
  }
}

/** The change of one row, for an operator to apply. @param column the column with the address. */
export const proposal = (
  { camera, host }: MovedCameras.Move,
  list: CameraList,
  settings: Settings,
  column: "host" | "url"
): string => {
  const what = `camera ${camera.id} ${JSON.stringify(camera.name)}`
  if (list._tag === "File" || settings.database.query !== undefined) {
    return `${what}: change ${camera.host} to ${host} in the column ${column}`
  }
  const value =
    column === "host" ? literal(host) : `replace(url, ${literal(camera.host)}, ${literal(host)})`
  return `update ${tableOf(settings)} set ${column} = ${value} where id::text = ${literal(camera.id)};`
}
