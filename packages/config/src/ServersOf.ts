/** The media servers of the settings, one or several, in one form. */
import { sharedServerSettings, type Settings } from "./Settings.ts"

/** A media server of the settings. */
export interface ConfiguredServer {
  /** Its name in `mediaServers`; `undefined` for the server of `mediaServer`. */
  readonly name: string | undefined
  /** The share of the cameras, relative to the other servers. */
  readonly weight: number
  readonly settings: Settings["mediaServer"]
}

/** Whether there are servers in `mediaServers`. Then `mediaServer` names none. */
export const hasNamedServers = ({ mediaServers }: Pick<Settings, "mediaServers">): boolean =>
  Object.keys(mediaServers).length > 0

/** The servers of `mediaServers`, or the one of `mediaServer` where that is empty. */
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

/** The settings of `mediaServer` that say nothing where there are several servers. */
export const isOfOneServer = (key: string): boolean =>
  key.startsWith("mediaServer.") &&
  !sharedServerSettings.some((name) => key === `mediaServer.${name}`)
