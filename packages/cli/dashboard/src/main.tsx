/** The dashboard: the frame, the views by route, and the bar that says when what is shown is old. */
import "./locale.ts"
import { render } from "preact"
import { CameraView } from "./camera.tsx"
import { ListView } from "./list.tsx"
import { OverviewView } from "./overview.tsx"
import { hrefTo, route } from "./route.ts"
import { SignIn } from "./sign-in.tsx"
import { needsToken, overview, silentNodes, staleSince, start } from "./store.ts"
import { clockTime, listOf, switchLanguage, words } from "./text.ts"
import { WallView } from "./wall.tsx"
import "./theme.css"

const View = () => {
  const { path } = route.value
  if (path.startsWith("cameras/")) {
    const id = decodeURIComponent(path.slice("cameras/".length))
    return <CameraView key={id} id={id} />
  }
  if (path === "wall") return <WallView />
  return path === "cameras" ? <ListView /> : <OverviewView />
}

const Link = ({ label, path }: { readonly path: string; readonly label: string }) => (
  <a href={hrefTo(path)} aria-current={route.value.path === path ? "page" : undefined}>
    {label}
  </a>
)

const App = () => {
  const w = words()
  if (needsToken.value) return <SignIn />
  const since = staleSince.value
  return (
    <>
      <header>
        <b>restream</b>
        {overview.value?.node !== undefined && (
          <span class="quiet">{w.node(overview.value.node)}</span>
        )}
        <nav>
          <Link path="" label={w.overview} />
          <Link path="cameras" label={w.cameras} />
          <Link path="wall" label={w.wall} />
        </nav>
        <button class="plain" onClick={switchLanguage}>
          {w.language}
        </button>
      </header>
      <div role="alert">
        {since !== undefined && <p class="stale">{w.stale(clockTime(since))}</p>}
        {silentNodes.value.length > 0 && (
          <p class="stale">{w.silentNodes(silentNodes.value.length, listOf(silentNodes.value))}</p>
        )}
      </div>
      <main class={since === undefined ? "" : "old"}>
        <View />
      </main>
    </>
  )
}

start()
render(<App />, document.querySelector("#app")!)
