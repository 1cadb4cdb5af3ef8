import { assert, describe, it } from "@effect/vitest"
import { AddressChoice } from "@restream/core"

/** The index after each failure; `!` marks a refusal of the credentials. */
const after = (choice: AddressChoice, failures: string, limit: number) =>
  [...failures].map((failure) => {
    choice.failed(limit, failure === "!")
    return choice.index
  })

describe("AddressChoice", () => {
  it("stays with a single address", () => {
    const choice = new AddressChoice(1)
    assert.deepStrictEqual(after(choice, "xx!x", 1), [0, 0, 0, 0])
    assert.isFalse(choice.mayMoveOn)
  })

  it("moves on after failures in a row, and returns to the first address after the last", () => {
    assert.deepStrictEqual(after(new AddressChoice(2), "xxxxx", 2), [0, 1, 1, 0, 0])
  })

  it("counts again after an address has worked", () => {
    const choice = new AddressChoice(2)
    after(choice, "xx", 3)
    choice.worked()
    assert.deepStrictEqual(after(choice, "xxx", 3), [0, 0, 1])
  })

  it("moves on at once from refused credentials, until every address refused them", () => {
    const choice = new AddressChoice(2)
    assert.isTrue(choice.mayMoveOn)
    assert.deepStrictEqual(after(choice, "!!", 9), [1, 0])
    assert.isFalse(choice.mayMoveOn)
    // from then on a refusal is a failure like others
    assert.deepStrictEqual(after(choice, "!!", 9), [0, 0])
  })

  it("leaves an address that it went back to after one failure", () => {
    const choice = new AddressChoice(3)
    after(choice, "xxxx", 2)
    choice.goBack(0, 2)
    assert.deepStrictEqual(after(choice, "x", 2), [1])
  })
})
