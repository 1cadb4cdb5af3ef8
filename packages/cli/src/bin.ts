#!/usr/bin/env node
import * as HeapLimits from "./process/HeapLimits.ts"

// before other modules are loaded, because it may restart the process
if (process.argv.includes("run")) HeapLimits.limit()
await import("./main.ts")
