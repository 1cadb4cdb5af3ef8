/** Several media servers by name: the type of the setting `mediaServers`. */
import * as Result from "effect/Result"
import { displayName } from "./Display.ts"
import { bracketed } from "./Host.ts"
import type { Definition, Rule } from "./Setting.ts"
import * as SettingType from "./SettingType.ts"

/** The fields of an entry besides the settings of a media server. */
export interface ServerWeight {
  /** The share of the cameras, relative to the other servers. */
  readonly weight: number
}

interface ServerAddress {
  readonly scheme: string
  readonly host: string
  readonly port: number
}

const isName = (name: string): boolean => /^\w[\w.-]{0,39}$/.test(name)

/** The host and the port, which identify a server. */
const addressOf = ({ host, port }: ServerAddress): string =>
  `${bracketed(host.toLowerCase())}:${port}`

/**
 * @param definitions the settings of one server; `host` is required in each entry.
 * @param rules the rules between them, which name the settings of the group `mediaServer`.
 */
export const mediaServersType = <Values extends ServerAddress>(
  definitions: Readonly<Record<string, Definition<any>>>,
  rules: ReadonlyArray<Rule<any>>
): SettingType.SettingType<Readonly<Record<string, Values & ServerWeight>>> => {
  const fields = Object.fromEntries(
    Object.entries(definitions).map(([key, { default: value, type }]) => [
      key,
      key === "host"
        ? SettingType.field(type)
        : SettingType.fieldWithDefault(
            type,
            value === undefined ? undefined : Result.getOrThrow(type.parse(value))
          )
    ])
  )
  const server = SettingType.struct(
    "media server",
    { ...fields, weight: SettingType.fieldWithDefault(SettingType.integer(1, 100), 1) },
    (values) => {
      const { host, port, scheme, weight } = values as unknown as Values & ServerWeight
      const share = weight === 1 ? "" : ` (weight ${weight})`
      return `${scheme}://${addressOf({ scheme, host, port })}${share}`
    }
  ) as unknown as SettingType.SettingType<Values & ServerWeight>

  const ruled = SettingType.refine(server, (values) => {
    const broken = rules.find(({ isViolated }) => isViolated(values))
    return (
      broken && SettingType.problemOfKey(broken.at, broken.message.replaceAll("mediaServer.", ""))
    )
  })
  return SettingType.refine(SettingType.recordOfStructs("name", ruled), (servers) => {
    const seen = new Map<string, string>()
    for (const [name, server] of Object.entries(servers)) {
      if (!isName(name)) {
        return `"${displayName(name)}" is not a name of a media server (letters, digits and _ . -, up to 40 characters)`
      }
      const address = addressOf(server)
      const twin = seen.get(address)
      if (twin !== undefined) return `${twin} and ${name} are one media server: ${address}`
      seen.set(address, name)
    }
    return undefined
  })
}
