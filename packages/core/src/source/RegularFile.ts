/**
 * Reads regular files only. Opening a FIFO without a writer blocks a thread of Node for ever, which delays even
 * the exit of the process; a device such as `/dev/zero` never ends.
 */
import { oneLine } from "@restream/config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { type PlatformError, systemError } from "effect/PlatformError"
import { devNull } from "node:os"

/** Fails with `BadResource` if the path is not a regular file. `/dev/null` counts as an empty file. */
export const stat = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<FileSystem.File.Info, PlatformError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const info = yield* fs.stat(file)
  if (info.type === "File" || file === devNull) return info
  return yield* Effect.fail(
    systemError({
      _tag: "BadResource",
      module: "FileSystem",
      method: "stat",
      pathOrDescriptor: file,
      description: `not a regular file (${info.type})`
    })
  )
})

/** The content of a regular file. */
export const readBytes = Effect.fnUntraced(function* (
  file: string
): Effect.fn.Return<Uint8Array, PlatformError, FileSystem.FileSystem> {
  yield* stat(file)
  const fs = yield* FileSystem.FileSystem
  return yield* fs.readFile(file)
})

/** The content of a regular file, as text. */
export const readText = (
  file: string
): Effect.Effect<string, PlatformError, FileSystem.FileSystem> =>
  Effect.map(readBytes(file), (bytes) => new TextDecoder().decode(bytes))

const readableByAll = 0o004

/** Whether every user of this machine may read the file. */
export const isReadableByAll = ({ mode }: FileSystem.File.Info): boolean =>
  (mode & readableByAll) !== 0

/** The warning about a file that holds passwords and that every user may read. One line. */
export const publicWarning = (file: string): string =>
  `${oneLine(file)} holds passwords, and every user of this machine may read it; chmod 640 removes that right`

/** Why a file cannot be read, in a few words. */
export const problemOf = ({ reason }: PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "no such file"
    case "PermissionDenied":
      return "permission denied"
    case "BadResource":
      return "not a file"
    default:
      return reason.message
  }
}
