/** A module for `plugins` that breaks the daemon in ways that its own code can't be asked for. */
import * as Result from "effect/Result"

const fault = () => new Error("thrown by a test, of rtsp://admin:planted-password@10.0.0.1/live")

process.on("SIGUSR2", () => {
  throw fault()
})
process.on("SIGWINCH", () => {
  void Promise.reject(fault())
})

export const cameraTypes = [
  {
    name: "throws",
    toUrl: () => {
      throw fault()
    }
  },
  // looks like an address, and is none: whatever touches it breaks
  { name: "poisoned", toUrl: () => Result.succeed(Object.create(null)) },
  {
    name: "endless",
    toUrl: () => {
      for (;;);
    }
  }
]
