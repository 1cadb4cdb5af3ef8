/** A media server of `mediaServers`, with the default settings. */
import { defaultSettings, type Settings } from "@restream/config"
import { Struct } from "effect"

export const namedServer: Settings["mediaServers"][string] = {
  // these hold for all servers
  ...Struct.omit(defaultSettings.mediaServer, ["checkInterval", "checkTimeout", "pathTemplate"]),
  weight: 1
}
