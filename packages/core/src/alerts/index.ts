/** Alerts: what opens and resolves them, and their delivery to webhooks. */
export * from "./Alert.ts"
export * as AlertState from "./AlertState.ts"
