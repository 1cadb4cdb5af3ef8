/**
 * Batches packets for one connection into one write.
 *
 * A write costs the system call, not the bytes. Audio, which arrives in small packets, is therefore held for the
 * next video frame, and a video frame that arrived in several reads is sent in one write. A complete video frame is
 * never held.
 */
import * as SendPool from "../../rtsp/client/SendPool.ts"

/** Sends the first bytes of a buffer of the pool, and releases the buffer. */
export type Send = (piece: SendPool.Piece, length: number) => void

/** The longest hold. Half of the offset between audio and video that viewers notice (ITU-R BT.1359). */
const maxHoldMs = 20

/** A batch of this size is sent at once. */
const worthSending = 16_384

/** The interval of the check for batches that are held long enough. */
const tickMs = 5

/** Batchers that hold packets. One timer serves all of them, and runs only while the set is not empty. */
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
  /** When the first held packet arrived, by `performance.now`. */
  since = 0
  readonly #send: Send
  #piece: SendPool.Piece | undefined
  #filled = 0

  constructor(send: Send) {
    this.#send = send
  }

  /**
   * Copies `bytes[start, end)`, which are whole frames. A frame is never split, because a request may be written
   * between two sends.
   *
   * @param isUrgent whether to send it at once, with everything held before it.
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

  /** Sends the held packets. */
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
