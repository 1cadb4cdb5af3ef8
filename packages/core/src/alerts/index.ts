/** Alerts: what opens and resolves them, and their delivery to webhooks. */
export * from "./Alert.ts"
export * as Alerts from "./Alerts.ts"
export * as AlertState from "./AlertState.ts"
export * as Delivery from "./Delivery.ts"
export * as WebhookClient from "./WebhookClient.ts"
export { type Message, requestOf, type WebhookRequest } from "./WebhookRequest.ts"
