/**
 * Splits the bytes of a connection into interleaved frames and RTSP messages (RFC 2326 §10.12).
 *
 * Frames are passed in place, as runs of whole frames, so that a relay reads four bytes per packet and
 * allocates nothing:
 *
 * ```ts
 * frames: (bytes, start, end, reused) => {
 *   for (let at = start; at < end; at = InterleavedFrame.end(bytes, at)) {
 *     InterleavedFrame.setChannel(bytes, at, channels[InterleavedFrame.channel(bytes, at)] ?? 255)
 *   }
 *   const run = bytes.subarray(start, end)
 *   out.write(reused ? Buffer.from(run) : run)
 * }
 * ```
 *
 * A frame split between two chunks is copied once into its own memory, so that a small remainder does not
 * pin a chunk, and passed as a run of one frame. Heads and bodies are collected within the limits of
 * `Message.ts`. Garbage is skipped up to the next possible frame or message; after
 * {@link maxGarbageBytes} consecutive bytes of garbage the connection is unusable.
 */
import * as Result from "effect/Result"
import * as InterleavedFrame from "./InterleavedFrame.ts"
import {
  carriageReturn,
  isLetter,
  lineFeed,
  looksLikeMessage,
  scanMessage
} from "../message/MessageScanner.ts"
import {
  contentLength,
  type Head,
  Malformed,
  maxHeadBytes,
  type Message,
  noBody,
  parseHead
} from "../message/Message.ts"

/** The framer gives up after this many consecutive bytes of garbage. */
export const maxGarbageBytes = 262_144

/** Within garbage, a `$` starts a frame only with a channel below this. Elsewhere every channel is valid. */
const maxSearchedChannel = 32

export interface FramerHandlers {
  /**
   * Whole frames, one after another, in `bytes` from `start` to `end`.
   *
   * With `reused` the bytes are valid only during the call; otherwise they may be kept. In both cases they
   * may be changed in place.
   */
  readonly frames: (bytes: Buffer, start: number, end: number, reused: boolean) => void
  /** A request or a response, in its own memory. */
  readonly message: (message: Message) => void
  /** Empty lines were skipped, with their total size in bytes. */
  readonly blank?: ((bytes: number) => void) | undefined
  /** Bytes were skipped. `fault` describes an invalid message; it is `undefined` for other garbage. */
  readonly skipped: (bytes: number, fault: Malformed | undefined) => void
  /** Too much garbage. The framer ignores all further bytes. */
  readonly failed: (fault: Malformed) => void
}

const noBytes: Buffer = Buffer.alloc(0)

/**
 * Whether a `$` within garbage starts a frame: a low channel, an RTP version 2 packet, and a possible frame or
 * message right after it.
 */
const plausibleFrame = (chunk: Buffer, at: number): boolean => {
  const end = InterleavedFrame.end(chunk, at)
  if (
    InterleavedFrame.channel(chunk, at) >= maxSearchedChannel ||
    end - at < InterleavedFrame.headerBytes + 8
  )
    return false
  if (((chunk[InterleavedFrame.packetStart(at)] ?? 0) & 0xc0) !== 0x80) return false
  const following = chunk[end]
  return following === undefined || following === InterleavedFrame.dollar || isLetter(following)
}

const isLineEnd = (byte: number | undefined): boolean =>
  byte === carriageReturn || byte === lineFeed

/** A frame header inside a supposed head starts this many bytes before the first byte that is not text. */
const reachBack = InterleavedFrame.headerBytes - 1

// shared: a chunk of garbage can contain thousands of these faults
const binaryHead = new Malformed({ detail: "binary data in the head of a message" })
const longHead = new Malformed({ detail: `head of a message longer than ${maxHeadBytes} bytes` })

type State =
  /** Between frames and messages. */
  | "boundary"
  /** In garbage, searching for a frame or a message. */
  | "searching"
  /** In the header of a split frame. */
  | "frameHeader"
  /** In a split frame. */
  | "frame"
  | "head"
  | "body"
  | "stopped"

/** Splits the bytes of one direction of one connection. */
export class Framer {
  readonly #handlers: FramerHandlers
  #state: State = "boundary"
  /** Garbage since the last frame or message, in bytes. */
  #garbage = 0
  /** The split part of a frame, a head or a body, or a few bytes that cannot be classified yet. */
  #partial: Buffer = noBytes
  #filled = 0
  /** In a head: how far the search for its end got, and the start of the current line. */
  #scanned = 0
  #lineStart = 0
  #head: Head | undefined

  constructor(handlers: FramerHandlers) {
    this.#handlers = handlers
  }

  /** Bytes held until the rest of their frame or message arrives. Bounded by the limits. */
  get held(): number {
    return this.#filled
  }

  /** Ignores all further bytes, including the rest of the current chunk. */
  stop(): void {
    this.#become("stopped")
  }

  /**
   * Processes the next bytes, and calls the handlers before it returns.
   *
   * @param reused whether the caller overwrites the chunk's memory after this call, as with `onread`.
   */
  push(chunk: Buffer, reused = false): void {
    let at = 0
    while (at < chunk.length) {
      at = this.#step(chunk, at, reused)
      // complete without further bytes: a frame or a body of length 0
      if (this.#filled === this.#partial.length) {
        if (this.#state === "frame") this.#endFrame()
        else if (this.#state === "body") this.#endMessage()
      }
    }
  }

  /** Continues in the current state; returns how much of the chunk was used. */
  #step(chunk: Buffer, at: number, reused: boolean): number {
    switch (this.#state) {
      case "boundary":
        return this.#atBoundary(chunk, at, reused)
      case "searching":
        return this.#search(chunk, at)
      case "frameHeader": {
        const next = this.#fill(chunk, at)
        if (this.#filled === InterleavedFrame.headerBytes) this.#beginFrame(this.#partial, 0)
        return next
      }
      case "frame":
      case "body":
        return this.#fill(chunk, at)
      case "head":
        return this.#readHead(chunk, at)
      case "stopped":
        return chunk.length
    }
  }

  #become(state: State, partial: Buffer = noBytes, filled = 0): void {
    this.#state = state
    this.#partial = partial
    this.#filled = filled
  }

  /** The hot path: finds the end of a run of whole frames, and passes the run. */
  #atBoundary(chunk: Buffer, from: number, reused: boolean): number {
    const size = chunk.length
    let at = from
    while (at + InterleavedFrame.headerBytes <= size && chunk[at] === InterleavedFrame.dollar) {
      const next = InterleavedFrame.end(chunk, at)
      if (next > size) break
      at = next
    }
    if (at > from) {
      this.#garbage = 0
      this.#handlers.frames(chunk, from, at, reused)
      return at
    }
    const byte = chunk[at] ?? 0
    if (byte === InterleavedFrame.dollar) {
      if (at + InterleavedFrame.headerBytes <= size) {
        this.#beginFrame(chunk, at)
        return at + InterleavedFrame.headerBytes
      }
      this.#become("frameHeader", Buffer.allocUnsafe(InterleavedFrame.headerBytes))
      return at
    }
    // some cameras send empty lines after a body
    if (isLineEnd(byte)) {
      let next = at + 1
      while (next < size && isLineEnd(chunk[next])) next++
      this.#handlers.blank?.(next - at)
      return next
    }
    const looks = looksLikeMessage(chunk, at, size)
    if (looks === true) return this.#beginHead(chunk, at)
    if (looks === false) this.#become("searching")
    else this.#collectHead(noBytes)
    return at
  }

  /** Scans a head in place. A false start is not copied, which keeps garbage with many false starts cheap. */
  #beginHead(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + maxHeadBytes)
    const scan = scanMessage(chunk, from, to, from)
    if (scan._tag === "End") {
      this.#endHead(chunk.toString("latin1", from, scan.at))
      return scan.at
    }
    if (scan._tag === "Binary") {
      const rest = scan.at - reachBack
      this.#abandonHead(binaryHead, rest - from)
      return rest
    }
    if (to - from === maxHeadBytes) {
      this.#abandonHead(longHead, maxHeadBytes)
      return to
    }
    this.#collectHead(Buffer.from(chunk.subarray(from)))
    this.#scanned = to - from
    this.#lineStart = scan.lineStart - from
    return to
  }

  /** Continues a split head in the following chunks. */
  #collectHead(beginning: Buffer): void {
    this.#become("head", beginning, beginning.length)
    this.#scanned = 0
    this.#lineStart = 0
  }

  /** Skips garbage up to a possible frame or message. */
  #search(chunk: Buffer, from: number): number {
    if (this.#filled > 0) {
      // the bytes held could not be classified without this chunk
      const joined = Buffer.concat([this.#partial, chunk.subarray(from)])
      this.#become("searching")
      this.push(joined)
      return chunk.length
    }
    const size = chunk.length
    let at = from
    while (at < size) {
      const looks = this.#looksSensible(chunk, at, size)
      if (looks === undefined) {
        this.#become("searching", Buffer.from(chunk.subarray(at)), size - at)
        this.#skip(at - from, undefined)
        return size
      }
      if (looks) {
        this.#become("boundary")
        break
      }
      at++
    }
    this.#skip(at - from, undefined)
    return at
  }

  #looksSensible(chunk: Buffer, at: number, size: number): boolean | undefined {
    const byte = chunk[at] ?? 0
    if (byte === InterleavedFrame.dollar) {
      return size - at <= InterleavedFrame.headerBytes ? undefined : plausibleFrame(chunk, at)
    }
    return isLetter(byte) && looksLikeMessage(chunk, at, size)
  }

  #skip(bytes: number, fault: Malformed | undefined): void {
    if (bytes <= 0) return
    this.#garbage += bytes
    this.#handlers.skipped(bytes, fault)
    if (this.#garbage > maxGarbageBytes && this.#state !== "stopped") {
      this.stop()
      this.#handlers.failed(
        new Malformed({
          detail: `${maxGarbageBytes} consecutive bytes are neither frames nor messages`
        })
      )
    }
  }

  #beginFrame(bytes: Buffer, at: number): void {
    const frame = Buffer.allocUnsafe(InterleavedFrame.end(bytes, at) - at)
    bytes.copy(frame, 0, at, at + InterleavedFrame.headerBytes)
    this.#become("frame", frame, InterleavedFrame.headerBytes)
  }

  #endFrame(): void {
    const frame = this.#partial
    this.#become("boundary")
    this.#garbage = 0
    this.#handlers.frames(frame, 0, frame.length, false)
  }

  /** Copies the available bytes up to the needed length; returns the offset after them. */
  #fill(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#partial.length - this.#filled, chunk.length - at)
    chunk.copy(this.#partial, this.#filled, at, at + taken)
    this.#filled += taken
    return at + taken
  }

  /** Collects a head up to its empty line. Scans each byte once, even if bytes arrive one by one. */
  #readHead(chunk: Buffer, from: number): number {
    const before = this.#filled
    const taken = Math.min(chunk.length - from, maxHeadBytes - before)
    if (before + taken > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.min(maxHeadBytes, Math.max(512, 2 * (before + taken))))
      this.#partial.copy(larger, 0, 0, before)
      this.#partial = larger
    }
    chunk.copy(this.#partial, before, from, from + taken)
    const size = before + taken
    this.#filled = size
    const bytes = this.#partial

    if (this.#scanned === 0) {
      const looks = looksLikeMessage(bytes, 0, size)
      if (looks === undefined) return from + taken
      if (!looks) {
        this.#become("searching", Buffer.from(bytes.subarray(0, before)), before)
        return from
      }
    }
    const scan = scanMessage(bytes, this.#scanned, size, this.#lineStart)
    if (scan._tag === "End") {
      this.#endHead(bytes.toString("latin1", 0, scan.at))
      return from + (scan.at - before)
    }
    if (scan._tag === "Binary") {
      const rest = Math.max(0, scan.at - reachBack)
      const reached = Math.max(scan.at, before)
      this.#become("searching", Buffer.from(bytes.subarray(rest, reached)), reached - rest)
      this.#skip(rest, binaryHead)
      return from + (reached - before)
    }
    this.#scanned = size
    this.#lineStart = scan.lineStart
    if (size === maxHeadBytes) this.#abandonHead(longHead, size)
    return from + taken
  }

  #abandonHead(fault: Malformed, length: number): void {
    this.#become("searching")
    this.#skip(length, fault)
  }

  #endHead(text: string): void {
    const head = parseHead(text)
    if (Result.isFailure(head)) return this.#abandonHead(head.failure, text.length)
    const body = contentLength(head.success)
    if (Result.isFailure(body)) return this.#abandonHead(body.failure, text.length)
    this.#head = head.success
    this.#become("body", body.success === 0 ? noBytes : Buffer.allocUnsafe(body.success))
  }

  #endMessage(): void {
    const head = this.#head
    const body = this.#partial
    this.#become("boundary")
    this.#head = undefined
    this.#garbage = 0
    if (head !== undefined) {
      this.#handlers.message({ ...head, body: body.length === 0 ? noBody : body })
    }
  }
}
