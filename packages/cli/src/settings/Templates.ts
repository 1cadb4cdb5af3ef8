/** The settings' templates of addresses, judged before any row is read. */
import type { Attempt, SettingsFault } from "@restream/config"
import { UrlTemplate } from "@restream/core"

/** What is wrong with them, each at its line. */
export const templateFaults = ({ loaded, placeOf }: Attempt): ReadonlyArray<SettingsFault> =>
  Object.entries(loaded.settings.cameraTypes).flatMap(([name, template]) => {
    const wrong = UrlTemplate.fault(template)
    return wrong === undefined
      ? []
      : [
          {
            key: `cameraTypes.${name}`,
            origin: placeOf(["cameraTypes", name]),
            expectation: wrong
          }
        ]
  })
