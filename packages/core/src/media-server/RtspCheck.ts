/** Checks by RTSP whether a media server is reachable. */
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
 * Connects and sends OPTIONS; any answer is good, since only a server that works gives one. A server
 * that is suspended still accepts connections, so connecting alone would prove nothing.
 *
 * No credentials are sent. It has no time-out of its own that matters; `MediaServer` interrupts it.
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

/** One check of a media server of the settings, within its `checkTimeout`. */
export const checkOnce = (server: Settings["mediaServer"]): Effect.Effect<void, MediaServerError> =>
  rtspCheck(serverAddress(server), trustOf(server)).pipe(
    Deadline.within(server.checkTimeout, () =>
      Effect.fail(
        new MediaServerError({ detail: `no response within ${format(server.checkTimeout)}` })
      )
    )
  )
