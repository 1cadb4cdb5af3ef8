/** What an operator does with the dashboard, in a real browser, against the daemon as it is built. */
import { assert, describe, layer } from "@effect/vitest"
import { ReaderSession } from "@restream/core/rtsp"
import { TestPattern } from "@restream/core/testing"
import { Effect, Exit, Redacted, Schedule, Scope } from "effect"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { missing } from "../kit/Browser.ts"
import { restream } from "../kit/Command.ts"
import { Postgres } from "../kit/Postgres.ts"
import { standIn } from "../media-server/ApiServers.ts"
import { publishable, url } from "../rtsp/LiveCamera.ts"
import { awaitText, by, faults, overflow, site, type Visit } from "./Visit.ts"

/** `SCREENSHOTS=docs/images` keeps pictures of the views there. */
const screenshots = process.env["SCREENSHOTS"]

const picture = ({ page }: Visit, name: string) =>
  by(async () => {
    if (screenshots === undefined) return
    mkdirSync(screenshots, { recursive: true })
    await page.screenshot({ path: join(screenshots, `${name}.png`) })
  })

layer(Postgres.layer, { timeout: "60 seconds", excludeTestServices: true })(
  "the dashboard",
  (it) => {
    describe.skipIf(missing !== undefined)(missing ?? "in Chromium", () => {
      it.effect("shows a new problem and the result of a retry at once", () =>
        Effect.gen(function* () {
          const { cameras, sql, startDaemon, visit } = yield* site
          const gate = yield* Scope.make()
          yield* TestPattern.publish(cameras, "gate", {}).pipe(Scope.provide(gate))
          yield* TestPattern.publish(cameras, "yard", {})
          yield* sql`insert into cameras ${sql.insert([
            { name: "Gate", url: cameras.url("gate") },
            { name: "Yard", url: cameras.url("yard") }
          ])}`
          yield* startDaemon()

          const overview = yield* visit()
          yield* awaitText(overview, ".sentence", /All 2 cameras are live/)
          const list = yield* visit("#/cameras")
          yield* awaitText(list, "[role=row]:has-text('Gate')", /live/)

          yield* Scope.close(gate, Exit.void)
          yield* awaitText(overview, ".sentence", /1 of 2 cameras are live. 1 camera needs you/)
          yield* awaitText(overview, ".causes", /not found|404|no stream/i)
          yield* awaitText(overview, ".changes", /down.*Gate/)
          assert.match(yield* by(() => overview.page.title()), /^\(1\)/)
          yield* awaitText(list, "[role=row]:has-text('Gate')", /down/)
          // the worst first
          const first = list.page.locator("[role=rowgroup] [role=row]").first()
          assert.match(yield* by(() => first.innerText()), /Gate/)
          yield* picture(overview, "dashboard-overview")
          yield* picture(list, "dashboard-cameras")

          yield* by(() => list.page.getByRole("link", { name: "Gate" }).click())
          yield* awaitText(list, ".advice", /What to do/)
          yield* awaitText(list, ".log", /Gate/)
          yield* picture(list, "dashboard-camera")
          yield* TestPattern.publish(cameras, "gate", {})
          yield* by(() => list.page.getByRole("button", { name: "Retry now" }).click())
          yield* awaitText(list, "h1", /live/)
          yield* awaitText(overview, ".sentence", /All 2 cameras are live/)

          // viewers lose the picture, so it asks first
          yield* by(() => list.page.getByRole("button", { name: "Restart" }).click())
          yield* by(() =>
            list.page.getByRole("dialog").getByRole("button", { name: "Restart" }).click()
          )
          yield* awaitText(list, ".actions [role=status]", /./)
          yield* awaitText(list, "dl", /\(1 in all\)/)
          assert.deepStrictEqual([...overview.complaints, ...list.complaints], [])
        })
      )

      it.effect("shows a sub stream that fails while the main stream is live, and retries it", () =>
        Effect.gen(function* () {
          const { cameras, env, mediaServer, port, sql, startDaemon, visit } = yield* site
          yield* TestPattern.publish(cameras, "gate", {})
          yield* sql`alter table cameras add url_sub text, add streams text`
          yield* sql`insert into cameras ${sql.insert({
            name: "Gate",
            url: cameras.url("gate"),
            url_sub: cameras.url("gate-sub"),
            streams: "main, sub"
          })}`
          yield* restream(["db", "init", "--cluster"], env)
          const { apiUrl } = yield* standIn({ server: mediaServer })
          yield* startDaemon({
            RESTREAM_CLUSTER_ENABLED: "yes",
            RESTREAM_CLUSTER_NAME: "north",
            RESTREAM_MEDIA_SERVER_API_URL: Redacted.value(apiUrl),
            RESTREAM_MEDIA_SERVER_CHECK_INTERVAL: "100ms"
          })

          const overview = yield* visit()
          yield* awaitText(overview, "header", /node north/)
          yield* awaitText(overview, ".sentence", /The camera is live. 1 further stream is down/)
          yield* by(() => overview.page.getByRole("link", { name: "Show the camera" }).click())
          yield* awaitText(overview, "h1", /down.*1:sub/)
          yield* awaitText(overview, "main", /Further stream of Gate/)

          const status = yield* restream(["status"], {
            ...env,
            RESTREAM_HTTP_ENABLED: "yes",
            RESTREAM_HTTP_PORT: String(port)
          })
          assert.strictEqual(status.code, 1)
          assert.match(
            status.stdout,
            /^Node north: The camera is live; 1 further stream is down\.\n[^]*^1 +Gate +ok .*h264.*\n1:sub +sub +down .*no stream at this path/m
          )

          const list = yield* visit("#/cameras?word=down")
          yield* awaitText(list, "[role=row]:has-text('Gate') .word", /live.*sub down/)
          const reader = yield* ReaderSession.open({ url: url(mediaServer.url("cam1")) })
          yield* reader.setup(publishable(reader))
          yield* reader.play({ frames: () => {} })
          yield* awaitText(list, "[role=row]:has-text('Gate') .readers", /^1$/)
          yield* by(() => list.page.getByRole("columnheader", { name: "Readers" }).waitFor())
          yield* by(() => list.page.getByRole("link", { name: "Gate" }).click())
          yield* awaitText(list, "h1", /1 reader/)
          yield* awaitText(list, ".streams li", /down sub 1:sub/)
          yield* picture(list, "dashboard-substreams")
          yield* TestPattern.publish(cameras, "gate-sub", {})
          // by the keyboard
          yield* by(() => list.page.getByRole("button", { name: "Retry now: sub" }).press("Enter"))
          yield* awaitText(list, ".streams li", /live sub 1:sub/)
          yield* awaitText(overview, "h1", /live.*1:sub/)

          yield* by(() => list.page.getByRole("button", { name: "Restart: sub" }).press("Enter"))
          yield* by(() =>
            list.page
              .getByRole("dialog", { name: "Restart: sub" })
              .getByRole("button", { name: "Restart" })
              .press("Enter")
          )
          yield* awaitText(list, ".streams [role=status]", /the relay is restarted/)
          yield* awaitText(overview, ".changes", /live.*live/)
          // the main stream went on
          assert.notMatch(yield* by(() => list.page.innerText("ol.changes")), /live[^]*live/)
          assert.deepStrictEqual([...overview.complaints, ...list.complaints], [])
        })
      )

      it.effect("filters and sorts, and keeps both in the address", () =>
        Effect.gen(function* () {
          const { sql, startDaemon, visit } = yield* site
          yield* sql`insert into cameras (name, url, enabled)
            select 'Camera ' || n, 'rtsp://127.0.0.1:1/' || n, true from generate_series(1, 300) n`
          yield* startDaemon()
          const list = yield* visit("#/cameras?sort=name&order=desc&q=camera+2")
          yield* awaitText(list, ".list-line", /111 of 300 cameras/)
          const rows = list.page.locator("[role=rowgroup] [role=row]")
          assert.match(yield* by(() => rows.first().innerText()), /^Camera 299\b/)
          // only what is in view exists
          assert.isBelow(yield* by(() => rows.count()), 60)

          yield* by(() => list.page.getByRole("button", { name: "Name" }).click())
          yield* by(() => list.page.keyboard.press("Escape"))
          yield* by(() => list.page.getByRole("searchbox").fill("camera 29"))
          yield* awaitText(list, ".list-line", /11 of 300 cameras/)
          assert.include(list.page.url(), "q=camera+29")
          yield* by(() => list.page.reload())
          yield* awaitText(list, ".list-line", /11 of 300 cameras/)
          assert.deepStrictEqual(list.complaints, [])
        })
      )

      it.effect(
        "shows that its data is stale while the daemon is unreachable, and recovers afterwards",
        () =>
          Effect.gen(function* () {
            const { cameras, sql, startDaemon, visit } = yield* site
            yield* TestPattern.publish(cameras, "gate", {})
            yield* sql`insert into cameras ${sql.insert({ name: "Gate", url: cameras.url("gate") })}`
            const first = yield* startDaemon()
            const overview = yield* visit()
            yield* awaitText(overview, ".sentence", /The camera|All 1 cameras are live/)
            first.process.kill("SIGKILL")
            yield* first.ended
            yield* awaitText(overview, "[role=alert]", /No word from restream since/)
            yield* sql`insert into cameras ${sql.insert({ name: "Bad", url: "nonsense" })}`
            yield* startDaemon()
            yield* awaitText(overview, ".sentence", /1 of 2 cameras/)
            yield* by(() => overview.page.locator(".stale").waitFor({ state: "detached" }))
          })
      )

      it.effect("shows a picture of each camera on the wall, and takes it again", () =>
        Effect.gen(function* () {
          const { cameras, sql, startDaemon, visit } = yield* site
          yield* TestPattern.publish(cameras, "gate", {})
          yield* sql`insert into cameras ${sql.insert([
            { name: "Gate", url: cameras.url("gate") },
            { name: "Yard", url: "rtsp://127.0.0.1:1/yard" }
          ])}`
          yield* startDaemon()
          const wall = yield* visit("#/wall")
          const video = wall.page.getByLabel("Gate")
          yield* by(() => video.waitFor())
          const size = yield* by(() =>
            video.evaluate((element) => {
              const { videoHeight, videoWidth } = element as unknown as Record<string, number>
              return [videoWidth, videoHeight]
            })
          )
          assert.deepStrictEqual(size, [64, 64])
          const source = () => by(() => video.evaluate((element) => element.getAttribute("src")))
          const first = yield* source()
          yield* Effect.suspend(source).pipe(
            Effect.repeat({
              until: (next) => next !== first,
              schedule: Schedule.spaced("200 millis")
            })
          )
          // of a camera that is down, its problem and no picture
          yield* awaitText(wall, "li:has-text('Yard') figcaption", /connection refused/)
          assert.isFalse(yield* by(() => wall.page.getByLabel("Yard").isVisible()))
          yield* picture(wall, "dashboard-wall")
          assert.deepStrictEqual(wall.complaints, [])
        })
      )

      it.effect("requires the token", () =>
        Effect.gen(function* () {
          const { sql, startDaemon, visit } = yield* site
          yield* sql`insert into cameras ${sql.insert({ name: "Bad", url: "nonsense" })}`
          yield* startDaemon({ RESTREAM_HTTP_TOKEN: "correct horse battery" })
          const page = yield* visit()
          yield* by(() => page.page.getByLabel("Token").fill("wrong"))
          yield* by(() => page.page.getByRole("button", { name: "Sign in" }).click())
          yield* awaitText(page, "[role=alert]", /not accepted/)
          yield* by(() => page.page.getByLabel("Token").fill("correct horse battery"))
          yield* by(() => page.page.getByRole("button", { name: "Sign in" }).click())
          yield* awaitText(page, ".sentence", /0 of 1 cameras/)
        })
      )

      it.effect("reads well on a phone, in the dark, in Russian, and for screen readers", () =>
        Effect.gen(function* () {
          const { cameras, sql, startDaemon, visit } = yield* site
          yield* TestPattern.publish(cameras, "gate", { audio: true })
          yield* sql`alter table cameras add url_sub text, add streams text`
          const gate = { url_sub: "rtsp://127.0.0.1:1/sub", streams: "main, sub" }
          const single = { url_sub: null, streams: null }
          yield* sql`insert into cameras ${sql.insert([
            { name: "Gate", url: cameras.url("gate"), ...gate },
            { name: "Yard", url: "rtsp://127.0.0.1:1/yard", ...single },
            { name: "Bad", url: "nonsense", ...single }
          ])}`
          yield* startDaemon()
          for (const colorScheme of ["light", "dark"] as const) {
            for (const [name, hash, ready] of [
              ["overview", "", /1 of 3 cameras|Работают 1 из 3/],
              ["list", "#/cameras", /sub (down|не работает)/],
              ["camera", "#/cameras/1", /(down|не работает) sub 1:sub/],
              ["wall", "#/wall", /Gate/]
            ] as const) {
              const isDark = colorScheme === "dark"
              const visited = yield* visit(hash, {
                colorScheme,
                viewport: isDark ? { width: 360, height: 740 } : { width: 1280, height: 800 },
                locale: isDark ? "ru-RU" : "en-US"
              })
              yield* awaitText(visited, "main", ready)
              if (name === "camera") yield* awaitText(visited, "main", /WebRTC/)
              assert.deepStrictEqual(yield* faults(visited), [], `${name}, ${colorScheme}`)
              assert.strictEqual(yield* overflow(visited), 0, `${name} is wider than the screen`)
              if (isDark) {
                assert.match(yield* by(() => visited.page.innerText("nav")), /Обзор/)
                yield* picture(visited, `dashboard-${name}-phone`)
              }
              assert.deepStrictEqual(visited.complaints, [])
            }
          }
        })
      )
    })
  }
)
