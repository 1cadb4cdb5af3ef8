/** The HTTP API of restream: the contract, and handlers that a program can mount. */
export * from "./Api.ts"
export { Board } from "./Board.ts"
export { EventStreams } from "./EventStreams.ts"
export * as Handlers from "./Handlers.ts"
export * as Measured from "./Measured.ts"
export { withToken } from "./Token.ts"
export { streamsOf } from "../status/OperatorView.ts"
