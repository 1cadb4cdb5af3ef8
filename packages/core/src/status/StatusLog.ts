/**
 * Writes the log lines of the cameras, from the events of the status store.
 *
 * Events that an operator must know are logged at `info` and `warn`, intermediate steps at `debug`. A problem is logged
 * when it starts and when it is resolved, not on every retry. If several cameras share one cause, one line covers all
 * of them, and the line of each camera is logged at `debug`. A line that other cameras may share is delayed by at most
 * one second.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as PubSub from "effect/PubSub"
import type { CameraId } from "../camera/Camera.ts"
import { dedupeKey, isAboutMediaServer, type Reason } from "../camera/Reason.ts"
import { cameraLabel, countCameras, nameSome, onePerCamera } from "../camera/CameraNames.ts"
import * as CameraState from "./CameraState.ts"
import type { StatusEvent } from "./CameraStatus.ts"
import { describe as describeHistory } from "./History.ts"
import { Incidents, suffixOf } from "./Incidents.ts"
import { describeForMany, sharedCauseOf } from "./SharedCause.ts"
import { StatusStore } from "./StatusStore.ts"

/** How long a line waits for other cameras with the same cause. */
export const sharedCauseWindow = "1 second"

interface Line {
  readonly level: LogLevel.Severity
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
  /** The cause that other cameras may share; `undefined`: the line is written at once. */
  readonly cause?: Cause | undefined
}

interface Cause {
  readonly key: string
  /** The text for several cameras, without their number and their names. */
  readonly describe: (hosts: number) => string
  /** Whether the cause is at the media server, so that the cameras' hosts are not named. */
  readonly isOfServer?: boolean
  readonly fields: Readonly<Record<string, unknown>>
}

interface Held {
  readonly event: StatusEvent
  readonly line: Line
  readonly cause: Cause
}

/** Logs the events of the store in context in the layer's scope. Writes all pending lines when the scope closes. */
export const layer: Layer.Layer<never, never, StatusStore> = Layer.effectDiscard(
  Effect.gen(function* () {
    const store = yield* StatusStore
    const scope = yield* Effect.scope
    const subscription = yield* store.subscribe
    const incidents = new Incidents<CameraId>(Infinity)
    const groups = new Map<string, Array<Held>>()
    const groupOf = new Map<CameraId, string>()

    const flush = (key: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        const held = groups.get(key) ?? []
        groups.delete(key)
        for (const { event } of held) groupOf.delete(event.id)
        return writeGroup(held)
      })

    const handle = Effect.fnUntraced(function* (event: StatusEvent) {
      for (const line of linesFor(event, incidents)) {
        const group = groupOf.get(event.id)
        // lines of one camera keep their order
        if (group !== undefined && line.level !== "Debug") yield* flush(group)
        if (line.cause === undefined) {
          yield* write(line)
          continue
        }
        const { cause } = line
        const held = groups.get(cause.key)
        groupOf.set(event.id, cause.key)
        if (held === undefined) {
          groups.set(cause.key, [{ event, line, cause }])
          yield* Effect.forkIn(Effect.delay(flush(cause.key), sharedCauseWindow), scope)
        } else held.push({ event, line, cause })
      }
    })

    const handleAll = Effect.forEach(handle, { discard: true })
    const drain = Effect.flatMap(PubSub.takeUpTo(subscription, Infinity), handleAll)
    const flushAll = Effect.suspend(() =>
      Effect.forEach([...groups.keys()], flush, { discard: true })
    )
    yield* Effect.addFinalizer(() => Effect.andThen(drain, flushAll))
    const next = Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(PubSub.takeAll(subscription)), handleAll)
    )
    yield* Effect.forkScoped(Effect.forever(next))
  })
)

const write = ({ fields, level, message }: Line): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWithLevel(level)(message), { module: "camera", ...fields })

/** Compares numbers by value, other ids by letter. */
const byId = new Intl.Collator("en", { numeric: true })

/** Writes one line for all cameras of a group, if there are several. */
const writeGroup = (held: ReadonlyArray<Held>): Effect.Effect<void> => {
  const [first] = held
  if (first === undefined) return Effect.void
  const cameras = onePerCamera(held.map(({ event, line }) => ({ ...event, line }))).toSorted(
    (a, b) => byId.compare(a.id, b.id)
  )
  const writeDebug = (lines: ReadonlyArray<Line>) =>
    Effect.forEach(lines, (line) => write({ ...line, level: "Debug" }), { discard: true })
  const lines = held.map(({ line }) => line)
  if (cameras.length === 1) {
    const { line } = cameras[0]!
    return Effect.andThen(write(line), writeDebug(lines.filter((other) => other !== line)))
  }
  const hosts = new Set(cameras.map(({ host }) => host))
  const at = hosts.size === 1 ? ` at ${[...hosts].join()}` : ` at ${hosts.size} hosts`
  const { describe, fields, isOfServer = false } = first.cause
  return Effect.andThen(
    write({
      level: first.line.level,
      message: `${countCameras(cameras.length)}${isOfServer || hosts.has(undefined) ? "" : at}: ${describe(hosts.size)}; affected: ${nameSome(cameras)}`,
      fields: { ...fields, cameras: cameras.length }
    }),
    writeDebug(lines)
  )
}

/** The log lines of an event. Updates the incidents, so it must be called once per event. */
const linesFor = (event: StatusEvent, incidents: Incidents<CameraId>): ReadonlyArray<Line> => {
  const label = cameraLabel(event)
  const fields = {
    camera: event.id,
    name: event.name,
    ...(event.path === undefined ? {} : { path: event.path })
  }
  switch (event._tag) {
    case "StateChanged": {
      const line = stateLine(event, label, fields, incidents)
      if (event.isLegal) return [line]
      const transition = `${event.from?._tag ?? "none"} to ${event.to._tag}`
      return [
        {
          level: "Error",
          message: `${label}: internal error: illegal transition from ${transition}`,
          fields
        },
        line
      ]
    }
    case "BecameStable":
      return incidents.markStable(event.id) === "stable"
        ? [{ level: "Info", message: `${label}: stable; ${historyOf(event)}`, fields }]
        : []
    case "Removed":
      incidents.forget(event.id)
      return [{ level: "Debug", message: `${label}: removed`, fields }]
    case "Renamed":
      return [{ level: "Debug", message: `${label}: renamed`, fields }]
  }
}

type StateChanged = Extract<StatusEvent, { readonly _tag: "StateChanged" }>

const historyOf = (event: Pick<StateChanged, "health" | "restarts" | "stalls">): string =>
  describeHistory(event.health, event.restarts, event.stalls)

const stateLine = (
  event: StateChanged,
  label: string,
  camera: Readonly<Record<string, unknown>>,
  incidents: Incidents<CameraId>
): Line => {
  const { at, id, to } = event
  const message = `${label}: ${CameraState.describe(to, at)}`
  const fields = { ...camera, state: to._tag.toLowerCase(), ...stateFields(to) }
  switch (to._tag) {
    case "Live": {
      const isNews = !incidents.has(id) || incidents.succeeded(id, at) === "resolved"
      return {
        level: isNews ? "Info" : "Debug",
        message: event.restarts > 0 ? `${message}; ${historyOf(event)}` : message,
        fields
      }
    }
    case "Invalid": {
      const problem = `invalid: ${to.problem}`
      const cause = { key: problem, describe: () => problem, fields: { state: "invalid" } }
      return { level: "Warn", message, fields, cause }
    }
    case "Unreachable":
      return problemLine(event, { level: "Warn", message, fields }, to.reason, incidents)
    case "Restarting":
      return problemLine(
        event,
        { level: "Warn", message: `${message}; ${historyOf(event)}`, fields },
        to.reason,
        incidents
      )
    case "Stopping":
      // the row has changed, so the next problem is reported as a new one
      incidents.forget(id)
      return { level: "Debug", message, fields }
    case "Waiting":
      return { level: to.for === "operator" ? "Info" : "Debug", message, fields }
    default:
      return { level: "Debug", message, fields }
  }
}

const stateFields = (state: CameraState.CameraState): Readonly<Record<string, unknown>> => {
  switch (state._tag) {
    case "Unreachable":
      return { reason: state.reason._tag, attempt: state.attempt }
    case "Restarting":
      return { reason: state.reason._tag }
    case "Live":
    case "Starting":
      return { engine: state.engine }
    default:
      return {}
  }
}

const problemLine = (
  event: StateChanged,
  line: Line,
  reason: Reason,
  incidents: Incidents<CameraId>
): Line => {
  const { at, host, id, mediaServer, to } = event
  const notice = incidents.failed(id, dedupeKey(reason), at)
  if (notice === undefined) return { ...line, level: "Debug" }
  const suffix = suffixOf(notice)
  const shared = sharedCauseOf(reason, host, mediaServer)
  const { state } = line.fields
  return {
    ...line,
    message: line.message + suffix,
    cause:
      shared === undefined
        ? undefined
        : {
            key: `${to._tag} ${shared}${suffix}`,
            describe: (hosts) =>
              CameraState.describe(to, at, describeForMany(reason, hosts, mediaServer)) + suffix,
            isOfServer: isAboutMediaServer(reason),
            fields: { state, reason: reason._tag }
          }
  }
}
