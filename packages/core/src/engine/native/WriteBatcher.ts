/**
 * Gathers packets that go to the same place, so that they go in one write.
 *
 * What a write costs is the call, not the bytes. So sound, which comes in small packets of its own, waits
 * for the next picture, and a picture that came in several pieces goes in one. A picture that is complete
 * waits for nothing.
 */
import * as SendPool from "../../rtsp/client/SendPool.ts"

/** Sends the first bytes of a piece, and gives it back. */
export type Send = (piece: SendPool.Piece, length: number) => void

/** How long packets wait at most. Half of what a viewer notices between lips and voice (ITU-R BT.1359). */
const maxHoldMs = 20

/** More than this is worth a write. */
const worthSending = 16_384

/** How often it is looked at who has waited long enough. */
const tickMs = 5

/** Batchers in which something waits; one timer serves them all, while there are any. */
const waiting = new Set<WriteBatcher>()
let timer: NodeJS.Timeout | undefined

const tick = (): void => {
  const now = performance.now()
  for (const batcher of waiting) {
    if (now - batcher.since >= maxHoldMs) batcher.flush()
  }
  if (waiting.size === 0) {
    clearInterval(timer)
    timer = undefined
  }
}

export class WriteBatcher {
  /** When the first of what waits came, by `performance.now`. */
  since = 0
  readonly #send: Send
  #piece: SendPool.Piece | undefined
  #filled = 0

  constructor(send: Send) {
    this.#send = send
  }

  /**
   * Takes a copy of `bytes[start, end)`, which are whole frames. No frame is ever torn: between two sends a
   * request may go out on the same connection.
   *
   * @param isUrgent whether it goes at once, with all that waits before it.
   */
  add(bytes: Buffer, start: number, end: number, isUrgent: boolean): void {
    const length = end - start
    if (this.#filled + length > SendPool.pieceBytes) this.flush()
    if (length > 0) {
      const piece = (this.#piece ??= SendPool.take(length))
      bytes.copy(piece.buffer, this.#filled, start, end)
      this.#filled += length
    }
    if (this.#filled === 0) return
    if (isUrgent || this.#filled >= worthSending) this.flush()
    else if (!waiting.has(this)) {
      this.since = performance.now()
      waiting.add(this)
      timer ??= setInterval(tick, tickMs)
    }
  }

  /** Sends what waits. */
  flush(): void {
    const piece = this.#piece
    waiting.delete(this)
    if (piece === undefined) return
    const length = this.#filled
    this.#piece = undefined
    this.#filled = 0
    this.#send(piece, length)
  }
}
