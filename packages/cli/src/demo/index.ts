export { layer as databaseLayer } from "../database/Database.ts"
export * as EmbeddedPostgres from "./EmbeddedPostgres.ts"
export { freePort } from "./FreePort.ts"
export * as Programs from "./Programs.ts"
