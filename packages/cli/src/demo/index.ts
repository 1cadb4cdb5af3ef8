export * as EmbeddedPostgres from "./EmbeddedPostgres.ts"
export { freePort } from "./FreePort.ts"
