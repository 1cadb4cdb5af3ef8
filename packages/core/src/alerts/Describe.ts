/** Describes alerts. Pure; texts from cameras, servers and rows are redacted. */
import { oneLine, redact } from "@restream/config"
import { cameraLabel, countCameras, onePerCamera } from "../camera/CameraNames.ts"
import { isAboutMediaServer, type Reason } from "../camera/Reason.ts"
import { serverLabel } from "../media-server/MediaServers.ts"
import { adviceFor, adviceOf } from "../status/Advice.ts"
import type { CameraStatus } from "../status/CameraStatus.ts"
import { describeForMany } from "../status/SharedCause.ts"
import { type Alert, type AlertCamera, severityOf } from "./Alert.ts"
import type { Subject, Surroundings } from "./Problems.ts"

export type Description = Pick<
  Alert,
  "kind" | "severity" | "title" | "advice" | "host" | "since" | "count" | "cameras"
>

const shownCameras = 100

const clean = (text: string): string => oneLine(redact(text))

/** @param subjects at least one of them has a problem. */
export const describe = (
  subjects: ReadonlyArray<Subject>,
  surroundings: Surroundings & { readonly now: number }
): Description => {
  const kind = mostFrequent(subjects.flatMap(({ problem }) => problem?.kind ?? []))
  if (kind === "media-server") {
    const named = subjects.find(({ problem }) => problem?.kind === kind)
    return ofMediaServer(named?.server, surroundings)
  }
  if (kind === "database") return ofDatabase(surroundings)
  if (kind === "cluster") return ofCluster(surroundings)
  const cameras = onePerCamera(subjects.flatMap(({ camera }) => camera ?? []))
  const one = subjects.find((subject) => subject.problem?.kind === kind)?.camera ?? cameras[0]!
  const isOfServer = one.reason !== undefined && isAboutMediaServer(one.reason)
  const hosts = new Set(isOfServer ? [undefined] : cameras.map(({ host }) => host))
  return {
    kind,
    severity: severityOf(kind),
    title: `${whereOf(cameras, hosts)}: ${clean(problemOf(kind, one, cameras.length === 1 ? 1 : hosts.size))}`,
    advice: clean(
      one.reason === undefined
        ? (adviceOf(one.state, undefined) ?? flappingAdvice)
        : adviceFor(one.reason)
    ),
    ...affected(cameras),
    ...(isOfServer && { host: undefined })
  }
}

const flappingAdvice =
  "Check the network and the power of the camera; its timeline in the dashboard has the reasons."

/** The most frequent text; the first one of several. */
const mostFrequent = (texts: ReadonlyArray<string>): string => {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best))[0]
}

const whereOf = (
  cameras: ReadonlyArray<CameraStatus>,
  hosts: ReadonlySet<string | undefined>
): string => {
  const [camera] = cameras
  if (cameras.length === 1) return clean(cameraLabel(camera!))
  const count = countCameras(cameras.length)
  if (hosts.has(undefined)) return count
  return hosts.size === 1 ? `${count} at ${camera!.host}` : `${count} at ${hosts.size} hosts`
}

const problemOf = (
  kind: string,
  { mediaServer, problem, reason }: CameraStatus,
  hosts: number
): string => {
  if (kind === "invalid") return `invalid row: ${problem ?? "see the log"}`
  if (kind === "flapping" || reason === undefined) return "restarts again and again"
  return describeForMany(reason, hosts, mediaServer)
}

const affected = (cameras: ReadonlyArray<CameraStatus>) => {
  const hosts = new Set(cameras.map(({ host }) => host))
  return {
    host: hosts.size === 1 ? cameras[0]!.host : undefined,
    since: Math.min(...cameras.map(({ since }) => since)),
    count: cameras.length,
    cameras: cameras.slice(0, shownCameras).map(cameraOf)
  }
}

const cameraOf = ({ id, name, path, problem, reason, since }: CameraStatus): AlertCamera => ({
  id,
  name: clean(name),
  path,
  since,
  reason: clean(reasonText(reason, problem))
})

const reasonText = (reason: Reason | undefined, problem: string | undefined): string =>
  reason?.message ?? problem ?? "restarts again and again"

const ofMediaServer = (
  server: string | undefined,
  { cameras, mediaServers, now }: Surroundings & { readonly now: number }
): Description => {
  const waiting = cameras.filter(
    ({ mediaServer, state }) =>
      mediaServer === server && state._tag === "Waiting" && state.for === "media server"
  )
  const status = mediaServers.find(({ name }) => name === server)?.status
  const isDown = status?._tag === "Down"
  return {
    kind: "media-server",
    severity: "critical",
    title: `${serverLabel(server)} is unreachable: ${isDown ? clean(status.detail) : "no response"}`,
    advice: "Check that the media server runs and is reachable.",
    host: undefined,
    since: isDown ? status.since : now,
    count: waiting.length,
    cameras: waiting.slice(0, shownCameras).map(cameraOf)
  }
}

const ofDatabase = ({ now, source }: Surroundings & { readonly now: number }): Description => {
  const isDown = source._tag === "Down"
  return {
    kind: "database",
    severity: "critical",
    title: `camera list cannot be read: ${isDown ? clean(source.error.message) : "no response"}`,
    advice:
      isDown && source.lastSnapshotAt === undefined
        ? "Check the database; no camera starts before the first read."
        : "Check the database. Running relays are unaffected.",
    host: undefined,
    since: isDown ? source.since : now,
    count: 0,
    cameras: []
  }
}

const ofCluster = ({ cluster, now }: Surroundings & { readonly now: number }): Description => ({
  kind: "cluster",
  severity: "critical",
  title: clean(cluster?.message ?? "this node takes no part in its cluster"),
  advice: clean(cluster?.advice ?? ""),
  host: undefined,
  since: cluster?.since ?? now,
  count: 0,
  cameras: []
})
