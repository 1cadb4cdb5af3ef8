/** The rooms whose tests are measured: what is mutated, and which tests may notice it. */
import { existsSync, statSync } from "node:fs"

export interface Room {
  /** The sources to mutate, as globs from the root of the repository. */
  readonly sources: ReadonlyArray<string>
  /** The tests that run, as globs. Suites that need an external program are left out: they are slow. */
  readonly tests: ReadonlyArray<string>
  /** The time of a test, in milliseconds: a mutant that makes it wait for ever costs as much. */
  readonly testTimeout: number
  /** One mutant in so many is tried, so that a room takes minutes. */
  readonly oneIn: number
}

const core = "packages/core/src"

const named = (folder: string, names: string): ReadonlyArray<string> =>
  names.split(" ").map((name) => `tests/${folder}/${name}.test.ts`)

// without `EveryTransition`, which takes half a minute
const supervision = named(
  "supervision",
  "AddressChoice BackupAddresses CameraActor Commands Diff LiveSettings MassStop ReconcileLog StartRateLimiter Supervisor schedules"
)

const rooms: Readonly<Record<string, Omit<Room, "sources">>> = {
  supervision: {
    tests: [
      ...supervision,
      ...named("probing", "CredentialGuard SessionGuard"),
      ...named("cluster", "Ownership")
    ],
    testTimeout: 20_000,
    oneIn: 4
  },
  // some tests wait for sessions that end every second
  source: { tests: ["tests/source/*.test.ts"], testTimeout: 60_000, oneIn: 12 },
  probing: { tests: ["tests/probing/*.test.ts", ...supervision], testTimeout: 20_000, oneIn: 5 },
  "media-server": { tests: ["tests/media-server/*.test.ts"], testTimeout: 20_000, oneIn: 12 },
  rtsp: {
    tests: [
      ...named(
        "rtsp",
        "Authentication BaseUrl Connection Framer Headers Media Message PublisherSession ReaderSession Sdp"
      ),
      "tests/engine/native/publish/*.test.ts",
      ...named("engine/native", "Addresses Garbage OneConnection Overflow Protocol")
    ],
    testTimeout: 60_000,
    oneIn: 20
  }
}

/** A room such as `source`, a folder in it such as `rtsp/sdp`, or one file of it. */
export const roomOf = (name: string): Room | undefined => {
  const [top = ""] = name.split("/")
  const path = `${core}/${name}`
  const room = rooms[top]
  if (room === undefined || !existsSync(path)) return undefined
  return {
    ...room,
    sources: [statSync(path).isDirectory() ? `${path}/**/*.ts` : path],
    // a part of a room is small
    oneIn: name === top ? room.oneIn : 1
  }
}

export const roomNames = Object.keys(rooms)
