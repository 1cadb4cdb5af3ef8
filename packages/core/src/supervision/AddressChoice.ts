/**
 * Chooses the camera's address in use: the first address, until it has failed a few times in a row; then the next.
 *
 * Pure: the camera actor reports the failures, and probes whether a preferred address responds again.
 */
export class AddressChoice {
  readonly #count: number
  #index = 0
  #failures = 0
  /** How many consecutive failures were refusals of the credentials or of a session. */
  #refusals = 0

  /** @param count how many addresses the camera has. */
  constructor(count: number) {
    this.#count = count
  }

  /** The address in use, counted from 0 in the order of preference. */
  get index(): number {
    return this.#index
  }

  /** Whether to try another address instead of waiting until this address may be retried after a refusal. */
  get mayMoveOn(): boolean {
    return this.#count > 1 && this.#refusals < this.#count
  }

  /**
   * Records a failure of the address in use. `true`: the next address is in use now.
   *
   * @param limit consecutive failures after which the next address is used. A refusal is not retried soon, so one
   * refusal counts as `limit` failures.
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

  /** Records that the address in use has worked for a while. */
  worked(): void {
    this.#failures = 0
    this.#refusals = 0
  }

  /** Switches to a preferred address that responds again. Its first failure leads to the next address. */
  goBack(index: number, limit: number): void {
    this.#index = index
    this.#failures = limit - 1
    this.#refusals = 0
  }
}
