export { layer as databaseLayer } from "../database/Database.ts"
export * as Programs from "./Programs.ts"
export * as Screen from "./Screen.ts"
