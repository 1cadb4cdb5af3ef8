/**
 * Shell scripts in the place of ffmpeg and ffprobe, for faults that the real ones don't have on
 * command. Each answers `-version` as a real one would.
 */
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { banners } from "../engine/ffmpeg/banners.ts"

/** A folder that lives as long as the scope. */
export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "restream-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const write = (path: string, script: string, banner: string = banners.debian12): void =>
  writeFileSync(
    path,
    `#!/bin/sh
here=${path.replace(/\/[^/]*$/, "")}
if [ "$1" = -version ]; then
  echo called >> "$here/version-calls"
  cat <<'END'
${banner}END
  exit 0
fi
echo $$ > "$here/pid"
${script}
`,
    { mode: 0o755 }
  )

/** A program that does what the script says. `$here` is its folder, to which it writes its `pid`. */
export const make = (script: string, banner?: string) =>
  Effect.map(folder, (path) => {
    const program = join(path, "program")
    write(program, script, banner)
    return { program, folder: path }
  })

/** An ffprobe that reports a camera with video. */
export const ffprobe = Effect.map(
  make(`echo '{"streams": [{"codec_type": "video", "codec_name": "h264"}]}'`),
  ({ program }) => program
)
