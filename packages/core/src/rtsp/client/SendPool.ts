/**
 * Memory for bytes that are on their way out, used again and again.
 *
 * A relay has to copy what it read into shared memory before it can send it. New memory for each copy
 * would keep the garbage collector busier than the relay itself; a piece of the pool is free again as soon
 * as the kernel has taken it, which is nearly always at once.
 */

/** Holds the longest read (see `Dialer`), and the longest frame. */
export const pieceBytes = 65_540

/** Pieces that are kept; more are made when they are needed, and left to the garbage collector. */
const maxFree = 64

export interface Piece {
  readonly buffer: Buffer
  /** Gives the piece back; nobody may use it after that. */
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

/** A piece that nobody uses, with room for `length` bytes at least. Whatever it held before is still in it. */
export const take = (length: number): Piece =>
  length > pieceBytes
    ? { buffer: Buffer.allocUnsafeSlow(length), release: () => {} }
    : (free.pop() ?? make())
