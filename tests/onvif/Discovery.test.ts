import { assert, describe, it } from "@effect/vitest"
import { Discovery, MovedCameras } from "@restream/core/onvif"
import { Effect } from "effect"
import * as DiscoveryResponder from "../kit/DiscoveryResponder.ts"

const endpoint = "urn:uuid:2419d68a-2dd2-21b2-a205-ec71db1a1b1c"

const device = {
  endpoint,
  services: "http://[fe80::1]/onvif/device_service http://10.0.0.5:8000/onvif/device_service",
  scopes:
    "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/hardware/DS-2CD2143 onvif://www.onvif.org/name/Front%20door"
}

const id = "urn:uuid:00000000-0000-4000-8000-000000000001"

const read = (more: Partial<DiscoveryResponder.ResponderOptions>, from = "10.0.0.5") =>
  Discovery.devicesOf(DiscoveryResponder.probeMatches({ ...device, ...more }, id), from, id)

describe("Discovery", () => {
  it.live("lists the devices that respond, each once, and passes over everything else", () =>
    Effect.gen(function* () {
      const port = yield* DiscoveryResponder.make(device, [
        "",
        "no XML",
        "<a/>",
        DiscoveryResponder.probeMatches(
          { ...device, endpoint: "urn:uuid:b" },
          "urn:uuid:another-probe"
        ),
        DiscoveryResponder.probeMatches({ ...device, endpoint: "" }, "")
      ])
      const found = yield* Discovery.discover({
        timeout: "1200 millis",
        targets: [{ host: "127.0.0.1", port }]
      })
      assert.deepStrictEqual(found, [
        {
          endpoint,
          host: "127.0.0.1",
          port: 80,
          addresses: ["127.0.0.1", "fe80::1", "10.0.0.5"],
          name: "Front door",
          hardware: "DS-2CD2143"
        }
      ])
    })
  )

  it("takes the port of the service at the address that responded", () => {
    assert.strictEqual(read({})[0]?.port, 8000)
    assert.strictEqual(read({ services: "http://10.0.0.5/onvif" })[0]?.port, 80)
    assert.strictEqual(read({ services: "" })[0]?.port, 80)
    assert.strictEqual(read({ services: "not a URL http://cam.local/x" })[0]?.addresses.length, 1)
  })

  it("takes no identity that it could not print, and no name with control characters", () => {
    assert.deepStrictEqual(read({ endpoint: "urn:uuid:1'); drop table cameras; --" }), [])
    const [found] = read({ scopes: "onvif://www.onvif.org/name/a%1B%5B2J%0Ab%E0%A4%A" })
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(found?.name ?? "", /[\u0000-\u001f]/)
    assert.strictEqual(read({ scopes: "onvif://www.onvif.org/name/" })[0]?.name, "")
  })
})

describe("MovedCameras", () => {
  const found = (host: string, addresses: ReadonlyArray<string> = [host]) => ({
    endpoint,
    host,
    port: 80,
    addresses,
    name: "",
    hardware: ""
  })
  const camera = (device: string, host = "10.0.0.5") => ({ id: "7", name: "Gate", host, device })
  const arp = MovedCameras.neighborsOf(
    [
      "IP address       HW type     Flags       HW address            Mask     Device",
      "10.0.0.9         0x1         0x2         44:19:b6:00:00:01     *        eth0",
      "10.0.0.8         0x1         0x0         00:00:00:00:00:00     *        eth0"
    ].join("\n")
  )

  it("follows a device by its endpoint reference, in any spelling", () => {
    for (const device of [endpoint, endpoint.toUpperCase(), endpoint.replace("urn:uuid:", "")]) {
      const moves = MovedCameras.moved([camera(device)], [found("10.0.0.7")], new Map())
      assert.deepStrictEqual(
        moves.map(({ host }) => host),
        ["10.0.0.7"]
      )
    }
  })

  it("follows a device by its MAC address, in any spelling", () => {
    for (const device of ["44:19:B6:00:00:01", "44-19-b6-00-00-01", "4419.b600.0001"]) {
      assert.strictEqual(MovedCameras.moved([camera(device)], [], arp)[0]?.host, "10.0.0.9")
    }
    assert.deepStrictEqual([...arp.keys()], ["10.0.0.9"])
  })

  it("leaves a camera where it is, or where a name leads", () => {
    const other = found("10.0.0.7", ["10.0.0.7", "10.0.0.5"])
    assert.deepStrictEqual(MovedCameras.moved([camera(endpoint)], [other], arp), [])
    assert.deepStrictEqual(MovedCameras.moved([camera("urn:uuid:else")], [other], arp), [])
    const named = camera(endpoint, "gate.example")
    assert.deepStrictEqual(MovedCameras.moved([named], [found("10.0.0.7")], arp), [])
  })
})
