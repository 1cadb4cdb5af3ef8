/** Programs on PATH. */
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

/** The program's file, if it is on PATH. A name with a slash is a path already. */
export const findProgram = (name: string): string | undefined =>
  (name.includes("/")
    ? [name]
    : (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name))
  ).find(isExecutable)

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
