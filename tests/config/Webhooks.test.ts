import {
  attempt,
  defaultSettings,
  isInSpan,
  parseDailySpan,
  settingRows,
  settingsChange,
  type Webhook
} from "@restream/config"
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { loaded, problems, renderings, settingOf } from "./Samples.ts"

const yaml = (webhooks: unknown): { readonly name: string; readonly text: string } => ({
  name: "restream.yaml",
  text: `alerts:\n  webhooks: ${JSON.stringify(webhooks)}\n`
})

const planted = {
  slack: "https://hooks.slack.com/services/T0/B0/PlantedPath",
  user: "https://someone:PlantedPassword@alerts.example/PlantedHook?key=PlantedKey",
  telegram: "https://api.telegram.org/bot12:PlantedToken/sendMessage?chat_id=-100",
  secret: "PlantedSecret"
}

const several = [
  { name: "ops", url: planted.slack, format: "slack" },
  { name: "own", url: planted.user, secret: planted.secret },
  { name: "phone", url: planted.telegram, format: "telegram" }
]

const plain = ({ secret, url, ...rest }: Webhook) => ({
  ...rest,
  url: Redacted.value(url),
  secret: secret && Redacted.value(secret)
})

describe("alerts.webhooks", () => {
  it("comes from the file, and as JSON from the environment", () => {
    const expected = [
      { name: "ops", url: planted.slack, format: "slack", secret: undefined },
      { name: "own", url: planted.user, format: "json", secret: planted.secret },
      { name: "phone", url: planted.telegram, format: "telegram", secret: undefined }
    ]
    const env = { RESTREAM_ALERTS_WEBHOOKS: JSON.stringify(several) }
    for (const sources of [{ file: yaml(several) }, { env }]) {
      assert.deepStrictEqual(loaded(sources).settings.alerts.webhooks.map(plain), expected)
    }
    assert.deepStrictEqual(defaultSettings.alerts.webhooks, [])
  })

  it("is read back from its form in the file", () => {
    const { type } = settingOf("alerts.webhooks")
    const { webhooks } = loaded({ file: yaml(several) }).settings.alerts
    assert.deepStrictEqual(type.format(webhooks), several)
  })

  it("shows names, formats and hosts, and no secrets", () => {
    const all = loaded({ file: yaml(several) })
    const row = settingRows(all).find(({ key }) => key === "alerts.webhooks")
    assert.strictEqual(
      row?.value,
      "ops (slack, https://hooks.slack.com/***); own (json, https://alerts.example/***); phone (telegram, https://api.telegram.org/***)"
    )
    assert.notMatch(renderings(all.settings), /Planted/)
    assert.notMatch(JSON.stringify(settingRows(all)), /Planted/)
  })

  it("changes by a reload, and only if it is another", () => {
    const first = loaded({ file: yaml(several) }).settings
    const same = loaded({ file: yaml(several) }).settings
    assert.deepStrictEqual(settingsChange(first, same).applied, [])
    const other = loaded({
      file: yaml([several[0], { ...several[1], secret: "other" }, several[2]])
    }).settings
    assert.deepStrictEqual(settingsChange(first, other).applied, ["alerts.webhooks"])
  })

  it("reports the problem without showing the value", () => {
    const cases: ReadonlyArray<readonly [unknown, string]> = [
      ["x", 'the value is not a JSON list such as [{"name": "…"}]'],
      [[{ name: "a" }], "item 1: url is missing"],
      [["PlantedText"], "item 1: the value is not a mapping of name, url, format, secret"],
      [
        [{ name: "a", url: "ftp://PlantedHost/x" }],
        "item 1: url: the value is not a URL with http, https, mqtt or mqtts, without a fragment"
      ],
      [[{ name: "a", url: 5 }], "item 1: url: the value must be quoted: YAML reads it as a number"],
      [
        [{ name: "a b", url: planted.slack }],
        'item 1: name: "a b" is not a name (letters, digits and _ . -, up to 40 characters)'
      ],
      [
        [{ name: "a", url: planted.slack, fromat: "slack" }],
        "item 1: unknown key fromat; did you mean format?"
      ],
      [
        [{ name: "a", url: planted.slack, format: "slak" }],
        'item 1: format: "slak" is not one of json, slack, mattermost, telegram, ntfy, alertmanager, mqtt; did you mean slack?'
      ],
      [
        [{ name: "a", url: planted.slack, format: "slack", secret: "PlantedSecret" }],
        'item 1: "secret": not used with the format slack'
      ],
      [
        [{ name: "a", url: planted.slack, format: "telegram" }],
        "item 1: url: expected https://api.telegram.org/bot<token>/sendMessage?chat_id=<chat>"
      ],
      [
        [{ name: "a", url: "https://ntfy.sh/", format: "ntfy" }],
        "item 1: url: expected a topic at the end, such as https://ntfy.sh/<topic>"
      ],
      [
        [{ name: "a", url: "mqtt://PlantedHost/+/x", format: "mqtt" }],
        "item 1: url: expected a topic without #, + and ? behind the broker, such as mqtt://broker/restream/alerts"
      ],
      [
        [{ name: "a", url: "mqtt://PlantedHost/x" }],
        "item 1: format: expected mqtt, because the url begins with mqtt"
      ],
      [
        [{ name: "a", url: planted.slack, format: "mqtt" }],
        "item 1: url: expected mqtt://<broker>/<topic> or mqtts://<broker>/<topic>"
      ],
      [
        [
          { name: "a", url: planted.slack },
          { name: "A", url: planted.slack }
        ],
        "two webhooks have the name a"
      ]
    ]
    for (const [value, problem] of cases) {
      const lines = problems({ file: yaml(value) })
      assert.deepStrictEqual(lines, [`alerts.webhooks (from restream.yaml:2): ${problem}`])
      assert.notMatch(lines.join(), /Planted/)
    }
    assert.deepStrictEqual(problems({ env: { RESTREAM_ALERTS_WEBHOOKS: '[{"url": "Planted' } }), [
      'alerts.webhooks (from RESTREAM_ALERTS_WEBHOOKS): the value is not a JSON list such as [{"name": "…"}]'
    ])
    assert.notMatch(renderings(attempt({ file: yaml([{ url: planted.user }]) })), /Planted/)
  })
})

describe("alerts.quietHours", () => {
  it("is a span of the day that may pass midnight", () => {
    assert.isUndefined(parseDailySpan("22:00"))
    assert.isUndefined(parseDailySpan("24:00-06:00"))
    assert.isUndefined(parseDailySpan("06:00-06:00"))
    const night = parseDailySpan("22:00-06:30")!
    const day = parseDailySpan("09:00 - 17:00")!
    const at = (hour: number, minute = 0) => hour * 60 + minute
    assert.deepStrictEqual(
      [at(21, 59), at(22), at(0), at(6, 29), at(6, 30), at(12)].map((m) => isInSpan(night, m)),
      [false, true, true, true, false, false]
    )
    assert.deepStrictEqual(
      [at(8, 59), at(9), at(16, 59), at(17)].map((m) => isInSpan(day, m)),
      [false, true, true, false]
    )
  })
})
