/** The numbers of relays of this thread that start and that run. */

let starting = 0
let flowing = 0

/** Relays that are being published. */
export const startingRelays = (): number => starting

/** Relays that forward packets. */
export const flowingRelays = (): number => flowing

/** Counts a start. Returns a function that ends the count. */
export const beginStart = (): (() => void) => {
  starting++
  return () => {
    starting--
  }
}

/** Counts a running relay. Returns a function that ends the count. */
export const beginFlow = (): (() => void) => {
  flowing++
  return () => {
    flowing--
  }
}
