/** How busy the engine is, over all relays of this thread. */

let starting = 0
let flowing = 0

/** Relays whose sessions are being opened. */
export const startingRelays = (): number => starting

/** Relays through which packets go. */
export const flowingRelays = (): number => flowing

/** Counts a start. Gives what takes it back. */
export const beginStart = (): (() => void) => {
  starting++
  return () => {
    starting--
  }
}

/** Counts a flow. Gives what takes it back. */
export const beginFlow = (): (() => void) => {
  flowing++
  return () => {
    flowing--
  }
}
