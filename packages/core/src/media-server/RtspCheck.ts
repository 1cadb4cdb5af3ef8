/** The health check of a media server by RTSP. */
import type { Settings } from "@restream/config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { dedupeKey } from "../camera/Reason.ts"
import type { StreamUrl } from "../camera/StreamUrl.ts"
import * as Connection from "../rtsp/client/Connection.ts"
import { type Trust, trustOf } from "../rtsp/client/Dialer.ts"
import * as Deadline from "../time/Deadline.ts"
import { format } from "../time/DurationText.ts"
import { MediaServerError, serverAddress } from "./MediaServer.ts"

/**
 * Connects and sends OPTIONS. Any response is good, because only a working server responds. A suspended server still
 * accepts connections, so connecting alone would prove nothing.
 *
 * Sends no credentials. `MediaServer` interrupts the check at its timeout.
 */
export const rtspCheck = (
  address: StreamUrl,
  trust: Trust = { _tag: "Verify" }
): Effect.Effect<void, MediaServerError> =>
  Connection.make({ ...Connection.endpointOf(address, trust), credentials: undefined }).pipe(
    Effect.flatMap((connection) =>
      connection.exchange({
        method: "OPTIONS",
        uri: Redacted.value(address.withTarget("/").withoutUserInfo)
      })
    ),
    Effect.catch((error) =>
      error.reason._tag === "Unauthorized"
        ? Effect.void
        : Effect.fail(
            new MediaServerError({ detail: error.reason.message, kind: dedupeKey(error.reason) })
          )
    ),
    Effect.asVoid,
    Effect.scoped
  )

/** One check of a configured media server, within its `checkTimeout`. */
export const checkOnce = (server: Settings["mediaServer"]): Effect.Effect<void, MediaServerError> =>
  rtspCheck(serverAddress(server), trustOf(server)).pipe(
    Deadline.within(server.checkTimeout, () =>
      Effect.fail(
        new MediaServerError({ detail: `no response within ${format(server.checkTimeout)}` })
      )
    )
  )
