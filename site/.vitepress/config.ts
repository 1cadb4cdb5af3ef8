/** The documentation site, from README.md, docs/ and examples/ as they are. */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitepress"

const root = fileURLToPath(new URL("../..", import.meta.url))

const titleOf = (file: string) =>
  /^# (.*)$/m.exec(readFileSync(join(root, file), "utf8"))?.[1] ?? file

const pages = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md") && name !== "README.md")
    .map((name) => `${folder}/${name}`)

const item = (file: string) => ({ text: titleOf(file), link: `/${file.replace(/\.md$/, "")}` })

const groups: ReadonlyArray<readonly [title: string, names: ReadonlyArray<string>]> = [
  [
    "Run it",
    ["installing", "systemd", "mediamtx", "migrating-from-python", "command-line", "upgrading"]
  ],
  ["Cameras", ["camera-types", "onvif", "camera-file", "recipes"]],
  [
    "Operate it",
    ["monitoring", "troubleshooting", "scaling", "settings", "reliability", "security", "faq"]
  ],
  ["Extend it", ["embedding", "architecture", "rtsp", "testing", "benchmarks"]]
]
const named = new Set(groups.flatMap(([, names]) => names.map((name) => `docs/${name}.md`)))
const rest = pages("docs").filter((file) => !named.has(file))

const russian = ["docs/ru/README.md", ...pages("docs/ru")]

export default defineConfig({
  title: "restream",
  description: "Republishes IP cameras to a media server, supervised",
  srcDir: ".pages",
  outDir: join(root, "dist/site"),
  cacheDir: join(root, "node_modules/.cache/site"),
  rewrites: { "README.md": "index.md", "examples/README.md": "examples/index.md" },
  // the pages link to files of the checkout as well, which no page shows
  ignoreDeadLinks: [(link) => existsSync(join(root, link.replace(/^[./]+/, "")))],
  themeConfig: {
    nav: [
      { text: "API reference", link: "/api/index.html", target: "_blank" },
      { text: "По-русски", link: "/docs/ru/README" }
    ],
    search: { provider: "local" },
    sidebar: [
      { text: "restream", link: "/" },
      ...groups.map(([text, names]) => ({
        text,
        items: names.map((name) => item(`docs/${name}.md`))
      })),
      ...(rest.length > 0 ? [{ text: "More", items: rest.map(item) }] : []),
      { text: "Decisions", collapsed: true, items: pages("docs/decisions").map(item) },
      { text: "По-русски", collapsed: true, items: russian.map(item) }
    ]
  }
})
