/** ONVIF: discovery, and the address of a device's stream. */
export * as Discovery from "./Discovery.ts"
export * as MovedCameras from "./MovedCameras.ts"
export * as OnvifDevice from "./OnvifDevice.ts"
