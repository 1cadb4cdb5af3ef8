/** Visits the dashboard of a built daemon with a real browser. */
import { freePort } from "@restream/core/testing"
import axe from "axe-core"
import { Effect } from "effect"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { launch } from "../kit/Browser.ts"
import { type Env } from "../kit/Command.ts"
import * as Site from "../kit/Site.ts"

/** A promise of the browser, as an effect. */
export const by = <A>(promise: () => Promise<A>) => Effect.promise(promise)

export interface Visit {
  readonly page: Page
  /** What the page complained about in its console. */
  readonly complaints: ReadonlyArray<string>
}

/** An installation, a browser, and the daemon's dashboard in it. */
export const site = Effect.gen(function* () {
  const installation = yield* Site.asInstalled
  const port = yield* freePort
  const env = { RESTREAM_HTTP_ENABLED: "yes", RESTREAM_HTTP_PORT: String(port) }
  const browser = yield* Effect.acquireRelease(by(launch), (browser) => by(() => browser.close()))
  // the browser ends with its last page
  yield* by(() => browser.newPage())
  /** @param url another page than the dashboard's. */
  const visit = (
    hash = "",
    options: BrowserContextOptions = {},
    url = `http://127.0.0.1:${port}/${hash}`
  ) => open(browser, url, options)
  return {
    ...installation,
    port,
    visit,
    startDaemon: (more: Env = {}) =>
      Effect.tap(installation.startDaemon([], { ...env, ...more }), ({ awaitSaid }) =>
        awaitSaid(/HTTP server listens/)
      )
  }
})

const open = (browser: Browser, url: string, options: BrowserContextOptions) =>
  Effect.gen(function* () {
    const context = yield* Effect.acquireRelease(
      by(() => browser.newContext({ locale: "en-US", reducedMotion: "reduce", ...options })),
      (context) => by(() => context.close())
    )
    const page = yield* by(() => context.newPage())
    // half of what a test has
    page.setDefaultTimeout(60_000)
    const complaints: Array<string> = []
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning")
        complaints.push(message.text())
    })
    page.on("pageerror", (error) => complaints.push(error.message))
    yield* by(() => page.goto(url))
    return { page, complaints } satisfies Visit
  })

/** Waits until the element's text matches. */
export const awaitText = ({ page }: Visit, selector: string, pattern: RegExp) =>
  by(() => page.locator(selector).filter({ hasText: pattern }).first().waitFor())

/** What axe finds wrong with the page. */
export const faults = ({ page }: Visit) =>
  by(async () => {
    // evaluated, because the policy of the page allows no script of ours
    await page.evaluate(axe.source)
    const { violations } = await page.evaluate(() =>
      (globalThis as unknown as { axe: typeof axe }).axe.run()
    )
    return violations.map(({ help, nodes }) => `${help}: ${nodes.map(({ html }) => html).join()}`)
  })

/** By how many pixels the page is wider than the screen. */
export const overflow = ({ page }: Visit) =>
  by(() =>
    page.evaluate<number>(
      "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
  )
