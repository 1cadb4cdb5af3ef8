/** The argument that names a camera of the running daemon. */
import * as Argument from "effect/cli/Argument"

/** An empty id, such as the value of an unset variable, would make an invalid URL. */
export const cameraId = Argument.String("id").pipe(
  Argument.filter(
    (id) => id !== "",
    () => "the id of a camera"
  )
)
