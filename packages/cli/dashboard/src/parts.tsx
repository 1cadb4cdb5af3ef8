/** Small pieces that several views share. */
import type { ComponentChildren } from "preact"
import type { Camera } from "./store.ts"
import { now } from "./store.ts"
import { dateTime, duration, words } from "./text.ts"

export type Word = Camera["word"]

const shapes: Record<Word, string> = {
  ok: "M4 12.5 9.5 18 20 6.5",
  down: "M6 6l12 12M18 6 6 18",
  invalid: "M12 5v9M12 18v1.5",
  waiting: "M8 6v12M16 6v12",
  starting: "M5 12h13M13 7l5 5-5 5"
}

/** A shape for each word, because colour alone says nothing to many. */
export const WordIcon = ({ word }: { readonly word: Word }) => (
  <svg class={`icon ${word}`} viewBox="0 0 24 24" aria-hidden="true">
    <path d={shapes[word]} />
  </svg>
)

export const WordLabel = ({ word }: { readonly word: Word }) => (
  <span class={`word ${word}`}>
    <WordIcon word={word} /> {words()[`word_${word}`]}
  </span>
)

/** How long ago, with the time itself in the title. */
export const Since = ({ at }: { readonly at: number }) => (
  <time dateTime={new Date(at).toISOString()} title={dateTime(at)}>
    {duration(now.value - at)}
  </time>
)

export const Section = ({
  children,
  title
}: {
  readonly title: string
  readonly children: ComponentChildren
}) => (
  <section>
    <h2>{title}</h2>
    {children}
  </section>
)

/** A line without axes, for a row of a table. */
export const Sparkline = ({ values }: { readonly values: ReadonlyArray<number> }) => {
  const most = Math.max(1, ...values)
  const points = values.map((value, index) => `${index},${20 - (value / most) * 18}`).join(" ")
  return (
    <svg class="sparkline" viewBox="0 0 60 22" preserveAspectRatio="none" aria-hidden="true">
      <polyline points={points} />
    </svg>
  )
}

export const streamText = ({ stream }: Pick<Camera, "stream">): string => {
  if (stream === null) return ""
  const size = stream.width === null ? "" : ` ${stream.width}×${stream.height}`
  return `${stream.video}${size}${stream.audio === null ? `, ${words().noAudio}` : ` + ${stream.audio}`}`
}
