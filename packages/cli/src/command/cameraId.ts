/** The argument that names a camera of the running daemon. */
import * as Argument from "effect/cli/Argument"

/** An empty id, such as that of a variable that is not set, would be no part of the URL of a request. */
export const cameraId = Argument.String("id").pipe(
  Argument.filter(
    (id) => id !== "",
    () => "the id of a camera"
  )
)
