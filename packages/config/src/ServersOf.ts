/** The media servers of the settings, one or several, as a list. */
import { sharedServerSettings, type Settings } from "./Settings.ts"

/** A media server of the settings. */
export interface ConfiguredServer {
  /** Its name in `mediaServers`; `undefined` for the server of `mediaServer`. */
  readonly name: string | undefined
  /** The share of the cameras, relative to the other servers. */
  readonly weight: number
  readonly settings: Settings["mediaServer"]
}

/** Whether there are servers in `mediaServers`. If so, `mediaServer` is not used as a server. */
export const hasNamedServers = ({ mediaServers }: Pick<Settings, "mediaServers">): boolean =>
  Object.keys(mediaServers).length > 0

/** The servers of `mediaServers`, or the server of `mediaServer` if `mediaServers` is empty. */
export const mediaServersOf = ({
  mediaServer,
  mediaServers
}: Pick<Settings, "mediaServer" | "mediaServers">): ReadonlyArray<ConfiguredServer> => {
  const named = Object.entries(mediaServers)
  if (named.length === 0) return [{ name: undefined, weight: 1, settings: mediaServer }]
  const { checkInterval, checkTimeout, pathTemplate } = mediaServer
  return named.map(([name, { weight, ...server }]) => ({
    name,
    weight,
    settings: { ...server, checkInterval, checkTimeout, pathTemplate }
  }))
}

/** Whether a setting of `mediaServer` has no effect if there are several servers. */
export const isOfOneServer = (key: string): boolean =>
  key.startsWith("mediaServer.") &&
  !sharedServerSettings.some((name) => key === `mediaServer.${name}`)
