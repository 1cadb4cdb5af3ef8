/** How fast a soak goes. */

export interface Tempo {
  /** How long troubles last at a time. */
  readonly stormMs: number
  /** The mean time between two troubles of cameras or rows. */
  readonly everyMs: number
  /** The longest that one trouble lasts. */
  readonly longestMs: number
  /** How long all cameras must stay live in a calm. */
  readonly holdMs: number
  /** How long it may take after the end of a storm until all are live. */
  readonly boundMs: number
  /** The time between two samples. */
  readonly sampleMs: number
  /** Settings of the daemon besides its defaults. */
  readonly settings: Readonly<Record<string, string>>
}

export const tempos: Readonly<Record<"real" | "fast", Tempo>> = {
  /** The daemon's own waits, but for the five minutes after a wrong password. */
  real: {
    stormMs: 60_000,
    everyMs: 1500,
    longestMs: 20_000,
    holdMs: 10_000,
    // the longest wait of a flapping camera is 60 s, that of an unreachable one 33 s; then probe and start
    boundMs: 100_000,
    sampleMs: 15_000,
    settings: { RESTREAM_PROBE_LOCKOUT_DELAY: "20s" }
  },
  /** Waits of a tenth, to see the soak at work. */
  fast: {
    stormMs: 6000,
    everyMs: 250,
    longestMs: 3000,
    holdMs: 2000,
    boundMs: 30_000,
    sampleMs: 2000,
    settings: {
      RESTREAM_DATABASE_POLL_INTERVAL: "1s",
      RESTREAM_DATABASE_QUERY_TIMEOUT: "1s",
      RESTREAM_DATABASE_CONNECT_TIMEOUT: "1s",
      RESTREAM_MEDIA_SERVER_CHECK_INTERVAL: "1s",
      RESTREAM_MEDIA_SERVER_CHECK_TIMEOUT: "1s",
      RESTREAM_PROBE_TIMEOUT: "4s",
      RESTREAM_PROBE_RETRY_DELAYS: "200ms,500ms,1s",
      RESTREAM_PROBE_LOCKOUT_DELAY: "2s",
      RESTREAM_RELAY_RESTART_DELAY: "500ms",
      RESTREAM_RELAY_RESTART_MAX_DELAY: "3s",
      RESTREAM_RELAY_STALL_TIMEOUT: "3s",
      RESTREAM_RELAY_KILL_GRACE: "1s",
      RESTREAM_RELAY_REJECTED_DELAY: "2s"
    }
  }
}
