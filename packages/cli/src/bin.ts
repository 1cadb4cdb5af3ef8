#!/usr/bin/env node
import * as YoungGeneration from "./process/YoungGeneration.ts"

// before anything else is loaded: it may start the process anew
if (process.argv.includes("run")) YoungGeneration.limit()
await import("./main.ts")
