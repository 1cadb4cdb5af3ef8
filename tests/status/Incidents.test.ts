import { assert, describe, it } from "@effect/vitest"
import { Incidents } from "@restream/core"
import * as fc from "fast-check"

const minute = 60_000

describe("Incidents", () => {
  it("reports a problem when it opens and when it is resolved", () => {
    const incidents = new Incidents.Incidents<string>()
    assert.isUndefined(incidents.succeeded("a", 0))
    assert.strictEqual(incidents.failed("a", "refused", 1), "opened")
    for (let n = 2; n < 100; n++) assert.isUndefined(incidents.failed("a", "refused", n))
    assert.strictEqual(incidents.succeeded("a", 100), "resolved")
    assert.isUndefined(incidents.succeeded("a", 101))
    assert.isUndefined(incidents.succeeded("a", 2 * minute))
    assert.isFalse(incidents.has("a"))
  })

  it("reports another kind of failure once", () => {
    const incidents = new Incidents.Incidents<string>()
    assert.strictEqual(incidents.failed("a", "refused", 0), "opened")
    assert.strictEqual(incidents.failed("a", "404", 1), "recurred")
    assert.isUndefined(incidents.failed("a", "refused", 2))
    assert.isUndefined(incidents.failed("a", "404", 3))
  })

  it("reports flapping once, and when the subject is stable", () => {
    const incidents = new Incidents.Incidents<string>()
    incidents.failed("a", "refused", 0)
    incidents.succeeded("a", 1000)
    assert.strictEqual(incidents.failed("a", "refused", 2000), "flapping")
    for (let n = 3; n < 50; n++) {
      assert.isUndefined(incidents.succeeded("a", n * 1000))
      assert.isUndefined(incidents.failed("a", "refused", n * 1000 + 500))
    }
    assert.strictEqual(incidents.failed("a", "404", 50_000), "recurred")
    assert.isUndefined(incidents.succeeded("a", 51_000))
    assert.isUndefined(incidents.succeeded("a", 110_999))
    assert.strictEqual(incidents.succeeded("a", 111_000), "stable")
    assert.strictEqual(incidents.failed("a", "refused", 112_000), "opened")
  })

  it("opens another incident when the last one is long over, although nobody asked meanwhile", () => {
    const incidents = new Incidents.Incidents<string>()
    incidents.failed("a", "refused", 0)
    incidents.succeeded("a", 1000)
    assert.strictEqual(incidents.failed("a", "refused", 1000 + minute), "opened")
  })

  it("keeps subjects apart, and forgets one", () => {
    const incidents = new Incidents.Incidents<number>()
    assert.strictEqual(incidents.failed(1, "refused", 0), "opened")
    assert.strictEqual(incidents.failed(2, "refused", 0), "opened")
    incidents.forget(1)
    assert.strictEqual(incidents.failed(1, "refused", 1), "opened")
    assert.isUndefined(incidents.failed(2, "refused", 1))
  })

  it("waits for markStable where time alone is not enough", () => {
    const incidents = new Incidents.Incidents<string>(Infinity)
    incidents.failed("a", "refused", 0)
    incidents.succeeded("a", 1)
    assert.strictEqual(incidents.failed("a", "refused", 100 * minute), "flapping")
    assert.strictEqual(incidents.markStable("a"), "stable")
    assert.isUndefined(incidents.markStable("a"))
  })

  it("reports that a problem is resolved when the subject is stable, where that is asked for", () => {
    const incidents = new Incidents.Incidents<string>(minute, { resolvesWhenStable: true })
    assert.strictEqual(incidents.failed("a", "refused", 0), "opened")
    for (let n = 1; n < 50; n++) {
      assert.isUndefined(incidents.succeeded("a", n * 1000))
      assert.isUndefined(incidents.failed("a", "refused", n * 1000 + 500))
    }
    assert.isUndefined(incidents.succeeded("a", 50_000))
    assert.isUndefined(incidents.succeeded("a", 109_999))
    assert.strictEqual(incidents.succeeded("a", 110_000), "resolved")
    assert.isUndefined(incidents.succeeded("a", 111_000))
    assert.strictEqual(incidents.failed("a", "refused", 112_000), "opened")
    assert.strictEqual(incidents.markStable("a"), "resolved")
    assert.isUndefined(incidents.markStable("a"))
  })

  it("reports at most four notices and one per kind, however a subject flaps", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("ok", "refused", "404", "silent"), { maxLength: 200 }),
        (history) => {
          const incidents = new Incidents.Incidents<string>()
          const notices = history.flatMap((each, now) => {
            const notice =
              each === "ok" ? incidents.succeeded("a", now) : incidents.failed("a", each, now)
            return notice ?? []
          })
          const count = (wanted: string) => notices.filter((notice) => notice === wanted).length
          const kinds = new Set(history.filter((each) => each !== "ok")).size
          assert.isAtMost(count("recurred"), Math.max(0, kinds - 1))
          for (const notice of ["opened", "resolved", "flapping"]) assert.isAtMost(count(notice), 1)
          if (kinds > 0) assert.strictEqual(notices[0], "opened")
        }
      )
    )
  })
})
