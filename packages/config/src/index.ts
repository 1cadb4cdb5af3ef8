export * from "./CameraOptions.ts"
export * as Dsn from "./Dsn.ts"
export * from "./Host.ts"
export * from "./LogModule.ts"
export { oneLine, redact, secretsIn } from "./Redaction.ts"
export {
  type AppliedBy,
  type Definition,
  displayDefault,
  type Group,
  type Setting,
  type SettingGroup,
  type ValuesOf
} from "./Setting.ts"
export * from "./ServersOf.ts"
export * from "./Settings.ts"
export * from "./SettingsChange.ts"
export * from "./SettingsDocs.ts"
export * from "./SettingsError.ts"
export type { SettingsFile } from "./SettingsFile.ts"
export * from "./SettingsLoader.ts"
export * as SettingType from "./SettingType.ts"
export { type Origin, originText, type Sources } from "./Sources.ts"
export { didYouMean, nearest } from "./Suggestion.ts"
export * from "./TableName.ts"
export { readYaml, type YamlContent, type YamlFile, type YamlOptions } from "./YamlFile.ts"
export {
  type DailySpan,
  displayWebhookUrl,
  mqttTopicOf,
  isInSpan,
  parseDailySpan,
  type Webhook,
  WebhookFormat
} from "./Webhooks.ts"
