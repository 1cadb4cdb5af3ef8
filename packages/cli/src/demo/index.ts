export * as EmbeddedPostgres from "./EmbeddedPostgres.ts"
export { freePort } from "./FreePort.ts"
export * as Programs from "./Programs.ts"
