/**
 * Where the parts of a soak listen: each at an address of its own on the loopback interface, at ports that
 * no outgoing connection can take while a part is away.
 */

/** The first number of a soak's addresses after the 127, so that two soaks don't meet. */
export const blockOf = (pid: number): number => 64 + (pid % 128)

export const cameraPort = 8554
export const serverPort = 8554

export const serverAddress = (block: number): string => `127.${block}.0.1`
export const addressOf = (block: number, camera: number): string =>
  `127.${block}.${1 + Math.floor(camera / 250)}.${1 + (camera % 250)}`

/** The cameras' credentials. The password must show nowhere. */
export const username = "soak"
export const password = "planted-Pa55word"

/** A camera's URL, with its credentials. */
export const urlOf = (block: number, camera: number): string =>
  `rtsp://${username}:${password}@${addressOf(block, camera)}:${cameraPort}/live`
