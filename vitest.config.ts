import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"

const source = (path: string) => new URL(path, import.meta.url).pathname

export default defineConfig({
  resolve: {
    // tests run on the sources; what is spawned as a process is the build
    alias: [
      { find: /^@restream\/config$/, replacement: source("packages/config/src/index.ts") },
      { find: /^@restream\/core$/, replacement: source("packages/core/src/index.ts") },
      {
        find: /^@restream\/core\/alerts$/,
        replacement: source("packages/core/src/alerts/index.ts")
      },
      { find: /^@restream\/core\/http$/, replacement: source("packages/core/src/http/index.ts") },
      { find: /^@restream\/core\/onvif$/, replacement: source("packages/core/src/onvif/index.ts") },
      { find: /^@restream\/core\/rtsp$/, replacement: source("packages/core/src/rtsp/index.ts") },
      {
        find: /^@restream\/core\/testing$/,
        replacement: source("packages/core/src/testing/index.ts")
      },
      { find: /^@restream\/cli\/demo$/, replacement: source("packages/cli/src/demo/index.ts") },
      {
        find: /^@restream\/cli\/http$/,
        replacement: source("packages/cli/src/http/HttpServer.ts")
      },
      { find: /^@restream\/cli\/log$/, replacement: source("packages/cli/src/log/Logs.ts") },
      {
        find: /^@restream\/cli\/systemd$/,
        replacement: source("packages/cli/src/systemd/Systemd.ts")
      }
    ]
  },
  test: {
    include: ["tests/**/*.test.ts", "examples/*.test.ts"],
    // most tests wait for sockets, processes and clocks, not for the processor
    maxWorkers: Math.max(4, availableParallelism()),
    // for a test that never ends: the longest needs 15 s of a processor, and on a machine that is busy each
    // process gets an eighth of one
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
