export * from "./CameraOptions.ts"
export * from "./SchemaFault.ts"
