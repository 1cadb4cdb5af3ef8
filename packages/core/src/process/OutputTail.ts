/**
 * The beginning and the end of a process's output, in bounded memory.
 *
 * The process never blocks on a full pipe, and no more than the two parts is kept. Truncated lines are dropped, so
 * that no part of a password escapes redaction.
 */

export interface OutputTail {
  /** Adds output; the chunk may be cut anywhere. */
  readonly push: (chunk: Uint8Array) => void
  /** The kept lines, the oldest first, without empty ones. They may contain secrets. */
  readonly lines: () => ReadonlyArray<string>
}

export interface OutputTailOptions {
  /** The kept part of the beginning, in bytes. Default 8 KiB. */
  readonly headBytes?: number | undefined
  /** The kept part of the end, in bytes. Default 16 KiB. */
  readonly tailBytes?: number | undefined
}

const nothing = new Uint8Array(0)

/** An empty tail. */
export const make = (options: OutputTailOptions = {}): OutputTail => {
  const headBytes = options.headBytes ?? 8 * 1024
  const tailBytes = options.tailBytes ?? 16 * 1024
  let head = nothing
  let tail = nothing
  let isTorn = false

  const push = (chunk: Uint8Array): void => {
    const toHead = Math.min(chunk.length, headBytes - head.length)
    if (toHead > 0) head = join(head, chunk.subarray(0, toHead))
    if (toHead === chunk.length) return
    const rest = chunk.subarray(toHead)
    if (tail.length + rest.length <= tailBytes) {
      tail = join(tail, rest)
    } else {
      isTorn = true
      // slice copies: a view would keep the whole chunk in memory
      tail =
        rest.length >= tailBytes
          ? rest.slice(rest.length - tailBytes)
          : join(tail.subarray(tail.length + rest.length - tailBytes), rest)
    }
  }

  const lines = (): ReadonlyArray<string> => {
    if (!isTorn) return split(join(head, tail))
    return [...split(head).slice(0, -1), ...split(tail).slice(1)]
  }

  return { push, lines: () => lines().filter((line) => line.trim() !== "") }
}

const join = (a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> => {
  const joined = new Uint8Array(a.length + b.length)
  joined.set(a)
  joined.set(b, a.length)
  return joined
}

const split = (bytes: Uint8Array): ReadonlyArray<string> =>
  new TextDecoder().decode(bytes).split(/\r\n|\n|\r/)
