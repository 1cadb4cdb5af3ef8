/** The paths of the server: publishers, readers, authentication, and quirks. */
import * as Effect from "effect/Effect"
import type { AuthenticationScheme, Credentials } from "../../rtsp/auth/Authentication.ts"
import type { ServerStream } from "./ServerStream.ts"
import type { FrozenTracks, Quirks } from "./Quirks.ts"
import type { Reader } from "./Reader.ts"
import type { PathStatus, ServerEvent } from "./ServerEvent.ts"

export type Action = "read" | "publish"

/** The credentials that the server requires. */
export interface ServerAuthentication extends Credentials {
  /** The challenges, in this order. Default MD5 only: ffmpeg does not support SHA-256. */
  readonly schemes?: ReadonlyArray<AuthenticationScheme> | undefined
  /** Default `restream`. */
  readonly realm?: string | undefined
  /** Requires `qop=auth` with Digest. Default: no qop. */
  readonly qop?: "auth" | undefined
  readonly opaque?: string | undefined
  /** The protected actions. Default both. */
  readonly actions?: ReadonlyArray<Action> | undefined
}

/** The behaviour of one path. */
export interface PathSettings {
  /** `null`: no authentication for this path, even if the server requires it by default. */
  readonly authentication?: ServerAuthentication | null | undefined
  readonly quirks?: Quirks | undefined
}

interface PathState {
  stream: ServerStream | undefined
  readonly readers: Set<Reader>
  frozen: FrozenTracks | undefined
  packets: number
  bytes: number
  publishers: number
  authenticationFailures: number
}

export interface PathManagerOptions {
  readonly overridePublisher: "replace" | "reject"
  readonly authentication: ServerAuthentication | undefined
  readonly settings: (path: string) => PathSettings | undefined
  readonly resolve: (path: string) => string
  readonly publish: (event: ServerEvent) => void
}

/** A path without its query; publishers name no query. */
export const withoutQuery = (path: string): string => path.replace(/\?.*$/s, "")

/** Above this number of paths, authentication failures are not counted by path. */
const maxPaths = 100_000

export class PathManager {
  readonly #options: PathManagerOptions
  readonly #paths = new Map<string, PathState>()
  readonly #configured = new Map<string, PathSettings>()
  readonly #watchers = new Set<() => void>()
  authenticationFailures = 0

  constructor(options: PathManagerOptions) {
    this.#options = options
  }

  #state(path: string): PathState {
    let state = this.#paths.get(path)
    if (state === undefined) {
      state = {
        stream: undefined,
        readers: new Set(),
        frozen: undefined,
        packets: 0,
        bytes: 0,
        publishers: 0,
        authenticationFailures: 0
      }
      this.#paths.set(path, state)
    }
    return state
  }

  emit(event: ServerEvent): void {
    this.#options.publish(event)
  }

  configure(path: string, settings: PathSettings): void {
    this.#configured.set(path, settings)
  }

  /**
   * The settings of a path: settings by `configure` before settings of `make`, and settings for the path with its
   * query before settings without.
   */
  settings(path: string): PathSettings {
    const bare = withoutQuery(path)
    return (
      this.#configured.get(path) ??
      this.#configured.get(bare) ??
      this.#options.settings(path) ??
      this.#options.settings(bare) ??
      {}
    )
  }

  authentication(path: string, action: Action): ServerAuthentication | undefined {
    const own = this.settings(path).authentication
    const wanted = own === undefined ? this.#options.authentication : own
    return wanted === null || wanted?.actions?.includes(action) === false ? undefined : wanted
  }

  onAuthenticationFailure(path: string): void {
    this.authenticationFailures++
    // clients that guess passwords also guess paths
    if (this.#paths.size < maxPaths) this.#state(path).authenticationFailures++
    this.changed()
  }

  /** The stream that readers of a path receive. */
  streamFor(path: string): ServerStream | undefined {
    return (
      this.#paths.get(this.#options.resolve(path))?.stream ??
      this.#paths.get(withoutQuery(path))?.stream
    )
  }

  /** Claims a path for a publisher; `false` if the current publisher keeps it. A replaced publisher gets no response. */
  claim(stream: ServerStream): boolean {
    const state = this.#state(stream.path)
    const old = state.stream
    if (old !== undefined) {
      if (this.#options.overridePublisher === "reject") return false
      state.stream = undefined
      old.kick("replaced by another publisher")
    }
    state.stream = stream
    state.publishers++
    this.emit({ _tag: "Publishing", connection: stream.connection, path: stream.path })
    this.changed()
    return true
  }

  release(stream: ServerStream, why: string): void {
    const state = this.#state(stream.path)
    if (state.stream === stream) state.stream = undefined
    stream.end(why)
    this.changed()
  }

  onFrames(path: string, frames: number, bytes: number): void {
    const state = this.#state(path)
    const before = state.packets
    state.packets += frames
    state.bytes += bytes
    if (before === 0) this.changed()
  }

  addReader(path: string, reader: Reader): void {
    this.#state(path).readers.add(reader)
    this.emit({ _tag: "Reading", connection: reader.connection, path })
    this.changed()
  }

  removeReader(path: string, reader: Reader): void {
    if (this.#state(path).readers.delete(reader)) this.changed()
  }

  frozen(path: string): FrozenTracks | undefined {
    return this.#paths.get(path)?.frozen
  }

  freeze(path: string, tracks: FrozenTracks | undefined): void {
    this.#state(path).frozen = tracks
  }

  kick(path: string): boolean {
    const stream = this.#paths.get(path)?.stream
    stream?.kick("kicked")
    return stream !== undefined
  }

  status(path: string): PathStatus | undefined {
    const state = this.#paths.get(path)
    if (state === undefined) return undefined
    const { bytes, packets, publishers, authenticationFailures, stream } = state
    return {
      path,
      publisher:
        stream === undefined
          ? undefined
          : {
              connection: stream.connection,
              tracks: stream.tracks.map(({ codec, kind, packets }) => ({ kind, codec, packets }))
            },
      readers: [...state.readers].map(({ bytes, connection, dropped, packets, reports }) => ({
        connection,
        packets,
        bytes,
        dropped,
        reports
      })),
      packets,
      bytes,
      publishers,
      authenticationFailures
    }
  }

  get statuses(): ReadonlyArray<PathStatus> {
    return [...this.#paths.keys()]
      .map((path) => this.status(path))
      .filter((status) => status !== undefined)
  }

  /** Wakes all {@link until} to check their conditions. */
  changed(): void {
    for (const watcher of this.#watchers) watcher()
  }

  /** Succeeds once the condition holds; checked after each change of publishers and readers. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const check = () => {
        if (!condition()) return false
        this.#watchers.delete(check)
        resume(Effect.void)
        return true
      }
      if (check()) return
      this.#watchers.add(check)
      return Effect.sync(() => this.#watchers.delete(check))
    })
  }
}
