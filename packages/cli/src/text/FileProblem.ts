import type { PlatformError } from "effect/PlatformError"

/** Why a file can't be read, in plain words. */
export const fileProblem = ({ reason }: PlatformError): string => {
  switch (reason._tag) {
    case "NotFound":
      return "there is no such file"
    case "PermissionDenied":
      return "it is not for this user to read"
    case "BadResource":
      return "it is no file, or stands in no folder"
    default:
      return reason.message
  }
}
