/** Asks for the token of `http.token`. */
import { useSignal } from "@preact/signals"
import { Refused, signIn, Unauthorized } from "./api.ts"
import { connect, needsToken } from "./store.ts"
import { words } from "./text.ts"

export const SignIn = () => {
  const w = words()
  const problem = useSignal("")
  const submit = async (event: SubmitEvent) => {
    event.preventDefault()
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token")
    try {
      await signIn(String(token))
      needsToken.value = false
      connect()
    } catch (error) {
      problem.value =
        error instanceof Unauthorized
          ? w.wrongToken
          : error instanceof Refused
            ? w.tooMany
            : String(error)
    }
  }
  return (
    <main class="sign-in">
      <h1>restream</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          {w.token}
          <input name="token" type="password" autocomplete="current-password" required />
        </label>
        <button>{w.signIn}</button>
        <p role="alert">{problem}</p>
      </form>
    </main>
  )
}
