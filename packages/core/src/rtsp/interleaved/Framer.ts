/**
 * Cuts a connection's bytes into interleaved frames and RTSP messages (RFC 2326 §10.12).
 *
 * Frames are handed out where they lie, as runs of whole frames, so that a relay reads four bytes per
 * packet and makes no object for it:
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
 * A frame that a chunk cuts in two is copied into memory of its own, once, so that no small rest pins a
 * chunk; it comes out as a run of one. A message's head and body are collected within the limits of
 * `Message.ts`. Bytes that are neither are skipped up to the next thing that looks like a frame or a
 * message; {@link maxGarbageBytes} of them on end are the end of the connection's use.
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

/** How many bytes on end may make no sense before the framer gives up. */
export const maxGarbageBytes = 262_144

/**
 * When frames are searched for in garbage, a `$` counts with a channel below this only. Elsewhere every
 * channel is fine.
 */
const maxSearchedChannel = 32

export interface FramerHandlers {
  /**
   * Whole frames, one after the other, in `bytes` from `start` up to `end`.
   *
   * With `reused` the bytes hold good during this call only; without it they may be kept. Either way
   * they may be changed in place.
   */
  readonly frames: (bytes: Buffer, start: number, end: number, reused: boolean) => void
  /** A request or a response, in memory of its own. */
  readonly message: (message: Message) => void
  /**
   * Bytes were skipped. `fault` says what was wrong with what looked like a message; it is `undefined`
   * for bytes that looked like nothing.
   */
  readonly skipped: (bytes: number, fault: Malformed | undefined) => void
  /** Nothing sensible came for too long. The framer ignores all that follows. */
  readonly failed: (fault: Malformed) => void
}

const noBytes: Buffer = Buffer.alloc(0)

/**
 * Whether a `$` in garbage begins a frame: a low channel, a packet of RTP version 2, and where the next
 * frame or message should begin, something that can be one.
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

/** What began like a message may end in a frame, whose header reaches back this far from its first binary byte. */
const reachBack = InterleavedFrame.headerBytes - 1

// made once: garbage can bring thousands of them in one chunk
const binaryHead = new Malformed({ detail: "a message's head holds binary data" })
const longHead = new Malformed({ detail: `a message's head is longer than ${maxHeadBytes} bytes` })

type State =
  /** Between frames and messages. */
  | "boundary"
  /** In garbage: looking for something that makes sense. */
  | "searching"
  /** In a frame's header that a chunk cut. */
  | "frameHeader"
  /** In a frame that a chunk cut. */
  | "frame"
  | "head"
  | "body"
  | "stopped"

/** Cuts the bytes of one connection. Use one for each direction of each connection. */
export class Framer {
  readonly #handlers: FramerHandlers
  #state: State = "boundary"
  /** Garbage since the last frame or message, in bytes. */
  #garbage = 0
  /** What a chunk cut: a frame, a head, a body, or a few bytes that can't be judged yet. */
  #partial: Buffer = noBytes
  #filled = 0
  /** In a head: up to where its end was looked for, and where its current line began. */
  #scanned = 0
  #lineStart = 0
  #head: Head | undefined

  constructor(handlers: FramerHandlers) {
    this.#handlers = handlers
  }

  /** Bytes that are held until the rest of their frame or message comes. Never more than the limits. */
  get held(): number {
    return this.#filled
  }

  /** Ignores all that follows, the rest of the current chunk too. */
  stop(): void {
    this.#become("stopped")
  }

  /**
   * Takes the next bytes, and calls the handlers before it returns.
   *
   * @param reused whether the chunk's memory will be overwritten after this call, as with `onread`.
   */
  push(chunk: Buffer, reused = false): void {
    let at = 0
    while (at < chunk.length) {
      at = this.#step(chunk, at, reused)
      // complete without a byte more: a frame or a body of length 0
      if (this.#filled === this.#partial.length) {
        if (this.#state === "frame") this.#endFrame()
        else if (this.#state === "body") this.#endMessage()
      }
    }
  }

  /** Reads on in the current state; gives the place up to where the chunk is used. */
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

  /** The hot path: finds how far whole frames reach, and hands them out as one run. */
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
    // some cameras put empty lines after a body
    if (byte === carriageReturn || byte === lineFeed) return at + 1
    const looks = looksLikeMessage(chunk, at, size)
    if (looks === true) return this.#beginHead(chunk, at)
    if (looks === false) this.#become("searching")
    else this.#collectHead(noBytes)
    return at
  }

  /**
   * Reads a head where it lies, as far as it goes. What only began like one is left again without a copy,
   * so that garbage full of beginnings costs no more than other garbage.
   */
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

  /** Goes on with a head, of which there is a beginning, in the chunks that follow. */
  #collectHead(beginning: Buffer): void {
    this.#become("head", beginning, beginning.length)
    this.#scanned = 0
    this.#lineStart = 0
  }

  /** Skips garbage up to what can be a frame or a message. */
  #search(chunk: Buffer, from: number): number {
    if (this.#filled > 0) {
      // a few bytes could not be judged without this chunk
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
          detail: `${maxGarbageBytes} bytes on end were neither frames nor messages`
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

  /** Copies as much as is there and fits; gives the place after it. */
  #fill(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#partial.length - this.#filled, chunk.length - at)
    chunk.copy(this.#partial, this.#filled, at, at + taken)
    this.#filled += taken
    return at + taken
  }

  /** Collects a head up to its empty line. Each byte is looked at once, however slowly they come. */
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
