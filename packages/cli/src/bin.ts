#!/usr/bin/env node
import * as YoungGeneration from "./process/YoungGeneration.ts"

// before other modules are loaded, because it may restart the process
if (process.argv.includes("run")) YoungGeneration.limit()
await import("./main.ts")
