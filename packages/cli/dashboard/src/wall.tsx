/** `#/wall`: a picture of each camera; only those in view are taken. */
import { useComputed } from "@preact/signals"
import { WordLabel } from "./parts.tsx"
import { Picture } from "./picture.tsx"
import { hrefTo } from "./route.ts"
import { cameras } from "./store.ts"
import { words } from "./text.ts"

const everyMs = 10_000
const byText = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" })

export const WallView = () => {
  const w = words()
  const sorted = useComputed(() =>
    [...cameras.value.values()].sort((a, b) => byText.compare(a.peek().name, b.peek().name))
  )
  return (
    <>
      <h1 class="hidden">{w.wall}</h1>
      <ul class="wall">
        {sorted.value.map(({ value: camera }) => (
          <li key={camera.id} class={camera.word}>
            <Picture camera={camera} every={everyMs} />
            <a href={hrefTo(`cameras/${encodeURIComponent(camera.id)}`)}>{camera.name}</a>{" "}
            <WordLabel word={camera.word} />
          </li>
        ))}
      </ul>
    </>
  )
}
