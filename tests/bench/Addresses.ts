/** Addresses of the loopback interface, so that each camera of a benchmark is a host by itself. */

/** The address of a camera, counted from 0. */
export const cameraAddress = (index: number): string =>
  `127.0.${Math.floor(index / 250)}.${1 + (index % 250)}`
