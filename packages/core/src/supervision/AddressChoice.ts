/**
 * Which of a camera's addresses is in use: the first, until it has failed a few times in a row; then the next.
 *
 * Pure: the camera actor counts the failures and finds out whether a better address answers again.
 */
export class AddressChoice {
  readonly #count: number
  #index = 0
  #failures = 0
  /** How many addresses in a row refused the credentials or a session. */
  #refusals = 0

  /** @param count how many addresses the camera has. */
  constructor(count: number) {
    this.#count = count
  }

  /** The address in use, counted from 0 in the order of preference. */
  get index(): number {
    return this.#index
  }

  /** Whether another address is worth trying instead of waiting for this one's credentials to be accepted. */
  get mayMoveOn(): boolean {
    return this.#count > 1 && this.#refusals < this.#count
  }

  /**
   * The address in use failed. `true`: the next address is in use now.
   *
   * @param limit failures in a row after which the next address is used. Refused credentials are not tried
   * again soon, so they count as all of them.
   */
  failed(limit: number, isRefusal: boolean): boolean {
    if (this.#count === 1) return false
    this.#failures++
    this.#refusals = isRefusal ? this.#refusals + 1 : 0
    if (this.#failures < limit && !(isRefusal && this.#refusals <= this.#count)) return false
    this.#index = (this.#index + 1) % this.#count
    this.#failures = 0
    return true
  }

  /** The address in use has worked for a while. */
  worked(): void {
    this.#failures = 0
    this.#refusals = 0
  }

  /** Uses a better address that answers again. Its first failure leads to the next one. */
  goBack(index: number, limit: number): void {
    this.#index = index
    this.#failures = limit - 1
    this.#refusals = 0
  }
}
