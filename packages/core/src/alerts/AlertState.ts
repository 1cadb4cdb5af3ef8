/**
 * Decides which alerts are opened, updated and resolved. Pure.
 *
 * An alert covers the cameras that went down together, even if their reasons change later. It is resolved when all of
 * them are live again, or removed. So a recorder that is first unreachable and then refuses the password is one alert,
 * and so is a failed switch with many hosts.
 */
import type { CameraId } from "../camera/Camera.ts"
import type { Alert, AlertEvent } from "./Alert.ts"
import { describe, type Description } from "./Describe.ts"
import { cameraKey, type Problem, type Subject, subjectsOf, type Surroundings } from "./Problems.ts"

/** A period in which a subject is continuously failed or continuously ok. */
interface Phase {
  readonly isOk: boolean
  /** The value of {@link Subject.since}. */
  readonly since: number | undefined
  /** By the monotonic clock. */
  readonly startedMs: number
}

interface OpenAlert {
  readonly id: string
  readonly key: string
  readonly openedAt: number
  /** The keys of the subjects that are not ok yet. */
  readonly members: ReadonlySet<string>
  /** The problems whose later cameras join this alert, see {@link coverOf}. */
  readonly covers: ReadonlySet<string>
  /** The description that was sent last. */
  readonly description: Description & Pick<Alert, "node">
  readonly sentMs: number
  /** Whether subjects have joined since. */
  readonly hasGrown: boolean
}

export interface AlertState {
  readonly phases: ReadonlyMap<string, Phase>
  readonly alerts: ReadonlyArray<OpenAlert>
  /** How many alerts were opened. */
  readonly opened: number
}

export const empty: AlertState = { phases: new Map(), alerts: [], opened: 0 }

export interface Observation extends Surroundings {
  /** In milliseconds since 1970. */
  readonly now: number
  /** By the monotonic clock. */
  readonly nowMs: number
  /** How long a problem lasts before an alert is opened, and is absent before the alert is resolved. */
  readonly afterMs: number
  /** Whether alerts are held back; the state at the end of the quiet hours is reported then. */
  readonly isQuiet: boolean
  /** Whether another daemon relays the cameras, and sends the alerts. */
  readonly isStandby: boolean
  /** Whether this daemon relays a camera: a camera that moved to another daemon is not resolved. */
  readonly isOurs: (id: CameraId) => boolean
  /** The prefix of alert ids; different after each start of the program. */
  readonly boot: string
  /** This node of the cluster; `undefined` without a cluster. */
  readonly node?: string | undefined
}

/** The open alerts, as they were sent last. */
export const openAlerts = ({ alerts }: AlertState): ReadonlyArray<Alert> =>
  alerts.map(({ description, id, key, openedAt }) => ({
    event: "opened",
    id,
    key,
    ...description,
    openedAt,
    resolvedAt: undefined
  }))

/** Subjects of one family that fail within this time of each other fail together. */
const togetherMs = 30_000
/** The shortest time between two messages about one open alert. */
const updateMs = 5 * 60_000

export interface Outcome {
  readonly state: AlertState
  readonly events: ReadonlyArray<Alert>
}

/** The alerts that an observation opens, updates and resolves. */
export const next = (before: AlertState, observation: Observation): Outcome => {
  if (observation.isStandby) return { state: { ...empty, opened: before.opened }, events: [] }
  const members = new Set(before.alerts.flatMap((alert) => [...alert.members]))
  // most cameras of a large fleet are ok
  const subjects = subjectsOf(observation).filter(
    ({ condition, key }) => condition !== "ok" || members.has(key)
  )
  const phases = phasesOf(before.phases, subjects, observation.nowMs)
  if (observation.isQuiet) return { state: { ...before, phases }, events: [] }
  return new Step(before, phases, subjects, observation).run()
}

const phasesOf = (
  before: ReadonlyMap<string, Phase>,
  subjects: ReadonlyArray<Subject>,
  nowMs: number
): ReadonlyMap<string, Phase> => {
  const phases = new Map<string, Phase>()
  for (const { condition, key, since } of subjects) {
    const known = before.get(key)
    switch (condition) {
      case "ok":
      case "failed": {
        const isOk = condition === "ok"
        const isSame = known?.isOk === isOk && known.since === since
        phases.set(key, isSame ? known : { isOk, since, startedMs: nowMs })
        break
      }
      case "pending":
        if (known?.isOk === false) phases.set(key, known)
        break
      case "held":
      case "released":
        break
    }
  }
  return phases
}

interface Candidate {
  readonly subject: Subject
  readonly problem: Problem
  readonly startedMs: number
  readonly isDue: boolean
}

/** The key by which later subjects join an alert. */
const coverOf = ({ device, family }: Problem): string => `${family} ${device ?? ""}`.trimEnd()

class Step {
  readonly #before: AlertState
  readonly #phases: ReadonlyMap<string, Phase>
  readonly #subjects: ReadonlyMap<string, Subject>
  readonly #observation: Observation

  constructor(
    before: AlertState,
    phases: ReadonlyMap<string, Phase>,
    subjects: ReadonlyArray<Subject>,
    observation: Observation
  ) {
    this.#before = before
    this.#phases = phases
    this.#subjects = new Map(subjects.map((subject) => [subject.key, subject]))
    this.#observation = observation
  }

  run(): Outcome {
    const open: Array<OpenAlert> = []
    const events: Array<Alert> = []
    for (const alert of this.#before.alerts) {
      const members = new Set([...alert.members].filter((key) => !this.#hasLeft(key)))
      if (members.size > 0) open.push({ ...alert, members })
      else if (![...alert.members].every((key) => this.#hasMoved(key))) {
        events.push(this.#eventOf("resolved", alert))
      }
    }

    const { joined, rest } = this.#join(open)
    const updated = joined.map((alert) => {
      const { nowMs } = this.#observation
      const isNews = alert.hasGrown && this.#hasFailing(alert)
      if (!isNews || nowMs - alert.sentMs < updateMs) return alert
      const described = { ...alert, description: this.#describe(alert.members) }
      events.push(this.#eventOf("updated", described))
      return { ...described, sentMs: nowMs, hasGrown: false }
    })
    const opened = this.#open(rest)
    for (const alert of opened) events.push(this.#eventOf("opened", alert))
    return {
      state: {
        phases: this.#phases,
        alerts: [...updated, ...opened],
        opened: this.#before.opened + opened.length
      },
      events
    }
  }

  /** Whether a subject is ok for long enough, removed, or released. */
  #hasLeft(key: string): boolean {
    const subject = this.#subjects.get(key)
    if (subject === undefined || subject.condition === "released") return true
    const phase = this.#phases.get(key)
    return phase?.isOk === true && this.#isOver(phase)
  }

  /** Whether a camera has moved to another daemon, which then sends its alerts. */
  #hasMoved(key: string): boolean {
    const id = key.slice(cameraKey("").length) as CameraId
    return key === cameraKey(id) && !this.#subjects.has(key) && !this.#observation.isOurs(id)
  }

  #hasFailing({ members }: OpenAlert): boolean {
    return [...members].some((key) => this.#subjects.get(key)?.condition === "failed")
  }

  #isOver({ startedMs }: Phase): boolean {
    return this.#observation.nowMs - startedMs >= this.#observation.afterMs
  }

  /** Adds due subjects to the open alerts that they belong to. */
  #join(open: ReadonlyArray<OpenAlert>) {
    const taken = new Set(open.flatMap(({ members }) => [...members]))
    const joining = new Map<string, Array<string>>()
    const rest: Array<Candidate> = []
    for (const [key, subject] of this.#subjects) {
      const { condition, problem } = subject
      const phase = this.#phases.get(key)
      if (condition !== "failed" || problem === undefined || phase === undefined) continue
      if (taken.has(key)) continue
      const isDue = problem.isCounted || this.#isOver(phase)
      const alert = open.find(({ covers }) => covers.has(coverOf(problem)))
      if (alert === undefined) rest.push({ subject, problem, startedMs: phase.startedMs, isDue })
      else if (isDue) joining.set(alert.id, [...(joining.get(alert.id) ?? []), key])
    }
    const joined = open.map((alert) => {
      const keys = joining.get(alert.id)
      return keys === undefined
        ? alert
        : { ...alert, members: new Set([...alert.members, ...keys]), hasGrown: true }
    })
    return { joined, rest }
  }

  /** Opens alerts, each with all candidates that failed together with the first one that is due. */
  #open(candidates: ReadonlyArray<Candidate>): ReadonlyArray<OpenAlert> {
    const { nowMs, boot, now } = this.#observation
    const opened: Array<OpenAlert> = []
    let rest = candidates
    for (;;) {
      const first = rest.find(({ isDue }) => isDue)
      if (first === undefined) return opened
      const belongs = ({ isDue, problem, startedMs }: Candidate) =>
        problem.family === first.problem.family &&
        (isDue ||
          problem.device === first.problem.device ||
          Math.abs(startedMs - first.startedMs) <= togetherMs)
      const group = rest.filter(belongs)
      rest = rest.filter((candidate) => !belongs(candidate))
      const covers = [...new Set(group.map(({ problem }) => coverOf(problem)))].sort()
      const members = new Set(group.map(({ subject }) => subject.key))
      opened.push({
        id: `${boot}-${this.#before.opened + opened.length + 1}`,
        key: covers[0]!,
        openedAt: now,
        members,
        covers: new Set(covers),
        description: this.#describe(members),
        sentMs: nowMs,
        hasGrown: false
      })
    }
  }

  #describe(members: ReadonlySet<string>): OpenAlert["description"] {
    const subjects = [...members].flatMap((key) => this.#subjects.get(key) ?? [])
    return { ...describe(subjects, this.#observation), node: this.#observation.node }
  }

  #eventOf(event: AlertEvent, { description, id, key, openedAt }: OpenAlert): Alert {
    const resolvedAt = event === "resolved" ? this.#observation.now : undefined
    return { event, id, key, ...description, openedAt, resolvedAt }
  }
}
