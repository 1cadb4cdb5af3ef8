/**
 * Resolves host names for all connections of the process: cameras, the media server and the database.
 *
 * A name server that does not respond delays only connections to names that it would resolve. Cameras with the same
 * name share one look-up at a time, and each attempt to connect looks the name up again, so that a new address is
 * found at the next attempt. While the name server does not respond, the last known addresses of a name are used.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isIP, type LookupFunction } from "node:net"
import * as NameLookup from "./NameLookup.ts"
import type { Answer } from "./NameLookup.ts"

/** Why a name has no address. */
export type NoAddress = Exclude<Answer["_tag"], "Found">

export interface HostResolver {
  /** The addresses of a host name, in the order in which to try them. An IP address is returned unchanged. */
  readonly resolve: (host: string) => Effect.Effect<ReadonlyArray<string>, NoAddress>
}

/** How long a look-up may take before the last known addresses are used, or the last failure is repeated. */
const lookUpTimeout = Duration.millis(500)

/** The most names to remember; a camera that redirects can name any number. */
const maxNames = 4_096

/** The state of a name. */
interface Known {
  /** The addresses of the last successful look-up. */
  addresses: ReadonlyArray<string> | undefined
  /** Whether the name server did not respond to the last look-up. */
  isUnanswered: boolean
  /** The look-up that runs now. */
  pending: Deferred.Deferred<Answer> | undefined
}

/** A new resolver with an empty cache. @param ask looks a name up, and always ends. */
export const make = (ask: (name: string) => Effect.Effect<Answer>): HostResolver => {
  const names = new Map<string, Known>()

  const known = (name: string): Known => {
    const found = names.get(name) ?? {
      addresses: undefined,
      isUnanswered: false,
      pending: undefined
    }
    // least recently used names are removed first
    names.delete(name)
    names.set(name, found)
    const [oldest] = names.keys()
    if (names.size > maxNames && oldest !== undefined) names.delete(oldest)
    return found
  }

  /** The running look-up, or a new one. Survives the caller, because other callers may share it. */
  const begin = (name: string, known: Known): Effect.Effect<Deferred.Deferred<Answer>> => {
    if (known.pending !== undefined) return Effect.succeed(known.pending)
    const pending = Deferred.makeUnsafe<Answer>()
    known.pending = pending
    return ask(name).pipe(
      Effect.onExit((exit) => {
        known.pending = undefined
        if (exit._tag === "Success") {
          known.isUnanswered = exit.value._tag === "NoAnswer"
          if (exit.value._tag === "Found") known.addresses = exit.value.addresses
          if (exit.value._tag === "NoSuchHost") known.addresses = undefined
        }
        return Deferred.done(pending, exit)
      }),
      Effect.forkDetach,
      Effect.as(pending)
    )
  }

  const noAnswer: Answer = { _tag: "NoAnswer" }

  return {
    resolve: (host) =>
      isIP(host) !== 0
        ? Effect.succeed([host])
        : Effect.suspend(() => {
            const name = host.toLowerCase()
            const before = known(name)
            const waitsForAnswer = before.addresses === undefined && !before.isUnanswered
            return begin(name, before).pipe(
              Effect.flatMap((pending) =>
                waitsForAnswer
                  ? Deferred.await(pending)
                  : Effect.timeoutOrElse(Deferred.await(pending), {
                      duration: lookUpTimeout,
                      orElse: () => Effect.succeed(noAnswer)
                    })
              ),
              Effect.flatMap((answer) => {
                if (answer._tag === "Found") return Effect.succeed(answer.addresses)
                // `begin` has removed the addresses of a name that no longer exists
                return before.addresses === undefined
                  ? Effect.fail(answer._tag)
                  : Effect.succeed(before.addresses)
              })
            )
          })
  }
}

/** The resolver of this process, shared by all connections. */
export const HostResolver = Context.Reference<HostResolver>("@restream/core/network/HostResolver", {
  defaultValue: () => make(NameLookup.make())
})

/** The option `lookup` of Node's sockets; errors have the codes of `dns.lookup`. */
export const nodeLookup =
  ({ resolve }: HostResolver): LookupFunction =>
  (hostname, { all }, callback) => {
    Effect.runFork(
      Effect.match(resolve(hostname), {
        onSuccess: (addresses) => {
          const found = addresses.map((address) => ({ address, family: isIP(address) }))
          if (all === true) callback(null, found)
          else callback(null, found[0]?.address ?? "", found[0]?.family)
        },
        onFailure: (reason) => {
          const code = reason === "NoSuchHost" ? "ENOTFOUND" : "EAI_AGAIN"
          callback(Object.assign(new Error(`getaddrinfo ${code}`), { code, hostname }), "")
        }
      })
    )
  }
