/** The files of the dashboard, in the `dist` directory of the package. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as HttpStaticServer from "effect/http/HttpStaticServer"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

/** Located by the package's name, because the command may be one bundled file or the modules of the package. */
const root = (): string =>
  join(
    dirname(createRequire(import.meta.url).resolve("@restream/cli/package.json")),
    "dist",
    "dashboard"
  )

/** The page at `/`, and its scripts and styles, whose names change with their contents. */
export const routes = Layer.unwrap(
  Effect.sync(() => {
    const folder = root()
    return Layer.merge(
      HttpStaticServer.layer({ root: folder, cacheControl: "no-cache" }),
      HttpStaticServer.layer({
        root: join(folder, "assets"),
        prefix: "/assets",
        cacheControl: "public, max-age=31536000, immutable"
      })
    )
  })
)
