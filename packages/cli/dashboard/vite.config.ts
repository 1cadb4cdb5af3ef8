/** The dashboard's build: files beside the command, with relative URLs, so that it works below any path of a proxy. */
import { defineConfig } from "vite"

export default defineConfig({
  root: import.meta.dirname,
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist/dashboard",
    emptyOutDir: true,
    // the content security policy allows no data: scripts or styles
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    target: "es2022",
    // hls.js, which is loaded where a picture plays by nothing else
    chunkSizeWarningLimit: 650
  }
})
