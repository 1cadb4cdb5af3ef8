/** Derives the settings of one worker from those of its machine. Pure. */
import type { Settings } from "@restream/config"
import { Restream } from "@restream/core"
import { availableParallelism } from "node:os"
import { parse } from "node:path"

/** The number of processes that relay. A daemon with several of them is in a cluster, by its file or by a flag. */
export const countOf = ({ cluster: { workers } }: Pick<Settings, "cluster">): number =>
  workers === "auto" ? availableParallelism() : workers

/** The name of a worker among the nodes of the cluster. */
export const nameOf = (settings: Pick<Settings, "cluster">, number: number): string =>
  `${Restream.nodeNameOf(settings)}-${number}`

/** The port of a worker; 0, any free port, is the same for all. */
export const portOf = ({ http: { port } }: Pick<Settings, "http">, number: number): number =>
  port === 0 ? 0 : port + number - 1

/** The workers of the machine, with the ports of their HTTP servers. */
export const workersOf = (
  settings: Pick<Settings, "cluster" | "http">
): ReadonlyArray<{ readonly name: string; readonly port: number }> =>
  Array.from({ length: countOf(settings) }, (_, index) => ({
    name: nameOf(settings, index + 1),
    port: portOf(settings, index + 1)
  }))

/** A log file is rotated by one process, so each worker has its own: `restream-2.log`. */
const logFileOf = (path: string, number: number): string => {
  const { base, ext, name } = parse(path)
  return `${path.slice(0, path.length - base.length)}${name}-${number}${ext}`
}

const withPort = (text: string, change: (port: number) => number): string => {
  const url = new URL(text)
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port)
  url.port = String(change(port))
  return url.href.replace(/\/$/, "")
}

/** The settings of a worker. @param number from 1 on. */
export const settingsOf = (settings: Settings, number: number): Settings => ({
  ...settings,
  cluster: {
    ...settings.cluster,
    name: nameOf(settings, number),
    ...(settings.cluster.apiUrl !== undefined && {
      apiUrl: withPort(settings.cluster.apiUrl, (port) => port + number - 1)
    })
  },
  http: { ...settings.http, port: portOf(settings, number) },
  log: {
    ...settings.log,
    ...(settings.log.file !== undefined && { file: logFileOf(settings.log.file, number) })
  }
})
