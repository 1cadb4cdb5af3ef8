import type { PlatformError } from "effect/PlatformError"

/** Why a file cannot be read. */
export const fileProblem = ({ reason }: PlatformError): string => {
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
