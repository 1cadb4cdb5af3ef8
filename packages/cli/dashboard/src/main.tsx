/** The dashboard: the frame, the views by route, and the bar that says when what is shown is old. */
import "./locale.ts"
import { render } from "preact"
import { CameraView } from "./camera.tsx"
import { ListView } from "./list.tsx"
import { OverviewView } from "./overview.tsx"
import { hrefTo, route } from "./route.ts"
import { SignIn } from "./sign-in.tsx"
import { needsToken, overview, staleSince, start } from "./store.ts"
import { clockTime, switchLanguage, words } from "./text.ts"
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

/** The other workers of this machine: each one shows the cameras that it relays. */
const Workers = () => {
  const workers = overview.value?.workers ?? []
  const port = Number(location.port)
  // behind a reverse proxy the ports are unknown
  if (!workers.some((worker) => worker.port === port)) return null
  return (
    <nav aria-label={words().workers}>
      {workers.map((worker) => (
        <a
          href={`${location.protocol}//${location.hostname}:${worker.port}/`}
          aria-current={worker.port === port ? "true" : undefined}
        >
          {worker.name}
        </a>
      ))}
    </nav>
  )
}

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
        <Workers />
        <button class="plain" onClick={switchLanguage}>
          {w.language}
        </button>
      </header>
      <div role="alert">
        {since !== undefined && <p class="stale">{w.stale(clockTime(since))}</p>}
      </div>
      <main class={since === undefined ? "" : "old"}>
        <View />
      </main>
    </>
  )
}

start()
render(<App />, document.querySelector("#app")!)
