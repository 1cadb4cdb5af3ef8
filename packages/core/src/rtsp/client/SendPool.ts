/**
 * A pool of buffers for outgoing bytes.
 *
 * A relay reads into shared memory and copies the bytes before sending them. Allocating every copy would cost more
 * time in the garbage collector than the relay itself; a pooled buffer is free again once the kernel has accepted
 * its bytes, nearly always at once.
 */

/** Holds the largest read (see `Dialer`) and the largest frame. */
export const pieceBytes = 65_540

/** The most free buffers to keep; further buffers are left to the garbage collector. */
const maxFree = 64

export interface Piece {
  readonly buffer: Buffer
  /** Returns the buffer to the pool; do not use it afterwards. */
  readonly release: () => void
}

const free: Array<Piece> = []

const make = (): Piece => {
  const piece: Piece = {
    buffer: Buffer.allocUnsafeSlow(pieceBytes),
    release: () => {
      if (free.length < maxFree) free.push(piece)
    }
  }
  return piece
}

/** A free buffer for at least `length` bytes. It still contains old data. */
export const take = (length: number): Piece =>
  length > pieceBytes
    ? { buffer: Buffer.allocUnsafeSlow(length), release: () => {} }
    : (free.pop() ?? make())
