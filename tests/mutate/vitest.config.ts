import base from "../../vitest.config.ts"

export default {
  ...base,
  test: {
    ...base.test,
    include: JSON.parse(process.env["MUTATE_TESTS"] ?? "[]") as ReadonlyArray<string>,
    maxWorkers: 1,
    // one load of Effect for all files of a run
    isolate: false,
    // virtual time that never comes is noticed by this; what waits for sockets takes far less
    testTimeout: Number(process.env["MUTATE_TEST_TIMEOUT"] ?? 10_000)
  }
}
