import { assert, describe, it } from "@effect/vitest"
import {
  attempt,
  mediaServersOf,
  redact,
  settingRows,
  settingsChange,
  settingsYaml
} from "@restream/config"
import { Redacted } from "effect"
import { loaded, problems, renderings } from "./Samples.ts"

const file = (text: string) => ({ file: { name: "restream.yaml", text } })

const two = file(`mediaServer:
  pathTemplate: "{media_server}/cam{id}"
mediaServers:
  hall: { host: 10.0.0.11 }
  yard: { host: 10.0.0.12, port: 8555, username: u, password: PlantedPassword, weight: 3 }
`)

const plain = (sources: Parameters<typeof loaded>[0]) =>
  mediaServersOf(loaded(sources).settings).map(({ name, settings, weight }) => ({
    name,
    weight,
    host: settings.host,
    port: settings.port,
    password: settings.password && Redacted.value(settings.password),
    pathTemplate: settings.pathTemplate
  }))

describe("mediaServers", () => {
  it("has the defaults of mediaServer, and shares the path template", () => {
    const common = { pathTemplate: "{media_server}/cam{id}" }
    const hall = { name: "hall", weight: 1, host: "10.0.0.11", port: 8554, password: undefined }
    const yard = { name: "yard", weight: 3, host: "10.0.0.12", port: 8555 }
    assert.deepStrictEqual(plain(two), [
      { ...hall, ...common },
      { ...yard, password: "PlantedPassword", ...common }
    ])
  })

  it("leaves one server without a name where it is not set", () => {
    const [server, ...others] = plain({ env: { MEDIA_SERVER_HOST: "mtx" } })
    assert.deepInclude(server, { name: undefined, host: "mtx", pathTemplate: "cam{id}" })
    assert.deepStrictEqual(others, [])
  })

  it("comes as JSON from the environment", () => {
    const env = { RESTREAM_MEDIA_SERVERS: '{"a": {"host": "one"}, "b": {"host": "two"}}' }
    assert.deepStrictEqual(
      plain({ env }).map(({ host, name }) => `${name} ${host}`),
      ["a one", "b two"]
    )
    assert.match(
      problems({ env: { RESTREAM_MEDIA_SERVERS: "one,two" } }).join(),
      /^mediaServers \(from RESTREAM_MEDIA_SERVERS\): the value is not a JSON object/
    )
  })

  it("conflicts with a setting of the one server, wherever that was set", () => {
    const text = "mediaServer: { port: 8555 }\nmediaServers: { a: { host: one } }\n"
    assert.deepStrictEqual(problems({ ...file(text), env: { MEDIA_SERVER_HOST: "mtx" } }), [
      "mediaServers (from restream.yaml:2): conflicts with mediaServer.port (restream.yaml:1), mediaServer.host (MEDIA_SERVER_HOST); set it for each server in mediaServers"
    ])
  })

  it.each([
    ["{ a: {} }", "a: host is missing"],
    ["{ a: { host: one, pathTemplate: 'x{id}' } }", "a: unknown key pathTemplate"],
    ["{ a: { host: one, prt: 1 } }", "a: unknown key prt; did you mean port?"],
    ["{ a: { host: one, weight: 0 } }", "a: weight: 0 is out of range (1 to 100)"],
    ["{ a: { host: one, password: x } }", 'a: "password": requires username'],
    ["{ a: { host: one, username: [1] } }", 'a: "username": '],
    ["{ login: { port: 1 } }", '"login": host is missing'],
    ["{ a: { host: One }, b: { host: one } }", "a and b are one media server: one:8554"],
    ["{ a/b: { host: one } }", '"a/b" is not a name of a media server'],
    ["{ ..: { host: one } }", '".." is not a name of a media server']
  ])("rejects %s", (text, problem) => {
    const [found, ...others] = problems(file(`mediaServers: ${text}\n`))
    assert.include(found, problem)
    assert.deepStrictEqual(others, [])
    assert.strictEqual(redact(found!), found, "the log shows the problem")
  })

  it("is required by failover.after", () => {
    const failover = "failover: { after: 30 seconds }\n"
    assert.deepStrictEqual(problems(file(failover)), [
      "failover.after (from restream.yaml:1): requires mediaServers; cameras have no other server to move to"
    ])
    assert.deepStrictEqual(problems(file(`${failover}mediaServers: { a: { host: one } }\n`)), [])
  })

  it("shows addresses and weights, and no password", () => {
    const row = settingRows(loaded(two)).find(({ key }) => key === "mediaServers")
    assert.strictEqual(
      row?.value,
      "hall rtsp://10.0.0.11:8554; yard rtsp://10.0.0.12:8555 (weight 3)"
    )
    for (const text of renderings(loaded(two))) assert.notInclude(text, "PlantedPassword")
  })

  it("is applied by a reload, and written to a file as it was read", () => {
    const before = loaded(two).settings
    const after = loaded(file("mediaServers: { hall: { host: 10.0.0.11 } }\n")).settings
    assert.deepStrictEqual(settingsChange(before, after).needRestart, [])
    assert.deepStrictEqual(attempt(file(settingsYaml(before))).settings, before)
  })

  it("replaces mediaServer, and is replaced by mediaServer, by a reload", () => {
    const one = file(
      "mediaServer: { host: 10.0.0.9, port: 28554, username: u, password: PlantedPassword }\n"
    )
    const there = settingsChange(loaded(one).settings, loaded(two).settings)
    assert.deepStrictEqual(there.settings, loaded(two).settings)
    assert.deepStrictEqual(there.applied, ["mediaServer.pathTemplate", "mediaServers"])
    assert.deepStrictEqual(there.needRestart, [])
    const back = settingsChange(loaded(two).settings, loaded(one).settings)
    assert.deepStrictEqual(back.settings, loaded(one).settings)
    assert.include(back.applied, "mediaServer.port")
    assert.deepStrictEqual(back.needRestart, [])
    const port = file("mediaServer: { host: 10.0.0.9, port: 28555 }\n")
    assert.include(
      settingsChange(loaded(one).settings, loaded(port).settings).needRestart,
      "mediaServer.port"
    )
  })
})
