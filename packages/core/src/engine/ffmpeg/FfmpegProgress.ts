/**
 * Parses the output of ffmpeg's `-progress`: blocks of `key=value` lines, each ended by `progress=continue` or
 * `progress=end` (fftools/ffmpeg.c, `print_report`).
 */

/** One block. A number that ffmpeg does not know (`N/A`) or does not print is missing. */
export interface Progress {
  /** Video frames sent, copied frames included. */
  readonly frame: number | undefined
  /** Bytes sent. An RTSP output never reports them. */
  readonly totalSize: number | undefined
  /** The timestamp of the sent media, in microseconds: of the track furthest behind, or ahead. */
  readonly outTimeUs: number | undefined
  /** Whether ffmpeg marked the block as the last. */
  readonly isLast: boolean
}

/** The state of a parser, immutable. */
export interface ProgressState {
  /** An incomplete line. */
  readonly rest: string
  readonly values: Omit<Progress, "isLast">
}

const noValues = { frame: undefined, totalSize: undefined, outTimeUs: undefined }

/** The state before any input. */
export const initial: ProgressState = { rest: "", values: noValues }

/** ffmpeg's lines are short; longer lines are ignored. */
const longestLine = 1024

/** What ffmpeg before 7 prints as the time while no output is open: the least number of 64 bits. */
const notOpenUs = -1e18

/** Whether ffmpeg has opened its output and writes media of any track. */
export const isWriting = ({ frame = 0, outTimeUs }: Progress): boolean =>
  outTimeUs === undefined ? frame > 0 : outTimeUs > notOpenUs

const wholeNumber = (text: string): number | undefined =>
  /^-?\d{1,19}$/.test(text) ? Number(text) : undefined

/** Parses the next chunk of text, cut anywhere, and returns the blocks that it completes. */
export const parse = (
  state: ProgressState,
  text: string
): { readonly state: ProgressState; readonly blocks: ReadonlyArray<Progress> } => {
  const lines = (state.rest + text).split("\n")
  const rest = (lines.pop() ?? "").slice(0, longestLine)
  const blocks: Array<Progress> = []
  let { frame, outTimeUs, totalSize } = state.values
  for (const line of lines) {
    const equals = line.indexOf("=")
    if (equals === -1 || line.length >= longestLine) continue
    const value = line.slice(equals + 1).trim()
    switch (line.slice(0, equals).trim()) {
      case "frame":
        frame = wholeNumber(value)
        break
      case "total_size":
        totalSize = wholeNumber(value)
        break
      case "out_time_us":
        outTimeUs = wholeNumber(value)
        break
      case "progress":
        blocks.push({ frame, totalSize, outTimeUs, isLast: value === "end" })
        frame = totalSize = outTimeUs = undefined
        break
    }
  }
  return { state: { rest, values: { frame, totalSize, outTimeUs } }, blocks }
}

/** The figures after some blocks, immutable. */
export interface Meter {
  readonly frames: number
  readonly bytes: number
  readonly outTimeUs: number
  readonly countsFrames: boolean
  readonly countsBytes: boolean
}

/** The figures before the first block. */
export const emptyMeter: Meter = {
  frames: 0,
  bytes: 0,
  outTimeUs: 0,
  countsFrames: false,
  countsBytes: false
}

/**
 * Adds a block, and returns whether the video advanced since the previous block.
 *
 * Frames decide. If ffmpeg never reports frames, bytes decide, and if it reports neither, the timestamp does.
 * Repeated values are no advance.
 */
export const measure = (
  meter: Meter,
  block: Progress
): { readonly meter: Meter; readonly hasAdvanced: boolean } => {
  // ffmpeg before 7 counts frames that only wait for the output
  if (block.outTimeUs !== undefined && block.outTimeUs <= notOpenUs) {
    return { meter, hasAdvanced: false }
  }
  const next: Meter = {
    frames: Math.max(meter.frames, block.frame ?? 0),
    bytes: Math.max(meter.bytes, block.totalSize ?? 0),
    outTimeUs: Math.max(meter.outTimeUs, block.outTimeUs ?? 0),
    countsFrames: meter.countsFrames || block.frame !== undefined,
    countsBytes: meter.countsBytes || block.totalSize !== undefined
  }
  const hasAdvanced = next.countsFrames
    ? next.frames > meter.frames
    : next.countsBytes
      ? next.bytes > meter.bytes
      : next.outTimeUs > meter.outTimeUs
  return { meter: next, hasAdvanced }
}

/** Whether no block so far had a figure that could advance. */
export const isBlind = (meter: Meter): boolean =>
  !meter.countsFrames && !meter.countsBytes && meter.outTimeUs === 0
