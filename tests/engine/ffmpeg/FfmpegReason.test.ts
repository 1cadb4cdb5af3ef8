import { assert, describe, it } from "@effect/vitest"
import { Ffmpeg, StreamUrl } from "@restream/core"
import * as fc from "fast-check"
import { urlOf } from "../Streams.ts"

const { FfmpegStderr } = Ffmpeg
const { phaseOf, probeReason, relayReason, lastMessages } = Ffmpeg.FfmpegReason
type Ending = Ffmpeg.FfmpegReason.ProcessEnd

/** The texts were seen with ffmpeg and ffprobe 4, 5, 2023, 7 and 8; only addresses and ports differ. */
const from = "rtsp://u:p%40sswd@10.0.0.5:554/live"
const to = "rtsp://u:p%40sswd@127.0.0.1:8554/cam7"

const text = (block: string) => block.trim().split("\n")

const probed = (block: string, ending: Partial<Ending> = {}) => {
  const lines = text(block)
  const camera = ending.camera ?? urlOf(from)
  return probeReason(
    { status: 1, lines, lifeMs: 100, camera, ioTimeoutMs: 9000, ...ending },
    FfmpegStderr.parse(lines, { camera: StreamUrl.reveal(camera) })
  )
}

const relayed = (block: string, ending: Partial<Parameters<typeof relayReason>[0]> = {}) =>
  relayReason({
    status: 1,
    lines: text(block),
    lifeMs: 100,
    camera: urlOf(from),
    destination: urlOf(to),
    ioTimeoutMs: 4500,
    hadFlowed: false,
    silentMs: 100,
    ...ending
  })

/** A reason as plain data. */
const plain = (reason: object | undefined) =>
  reason === undefined
    ? undefined
    : Object.fromEntries(Object.entries(reason).filter(([key]) => key !== "pace"))

const connected = `
[tcp @ 0x55b5cca5f900] [verbose] Starting connection attempt to 10.0.0.5 port 554
[tcp @ 0x55b5cca5f900] [verbose] Successfully connected to 10.0.0.5 port 554`

describe("the reason of a failed probe", () => {
  it.each([
    [
      "a closed port",
      `[tcp @ 0x5622ddc90900] [verbose] Starting connection attempt to 10.0.0.5 port 554
[tcp @ 0x5622ddc90900] [verbose] Connection attempt to 10.0.0.5 port 554 failed: Connection refused
[tcp @ 0x5622ddc90900] [error] Connection to tcp://10.0.0.5:554?timeout=2000000 failed: Connection refused
[error] ${from}: Connection refused`,
      { _tag: "Refused", authority: "10.0.0.5:554" }
    ],
    [
      "a name without an address",
      `[tcp @ 0x56494d38b900] [error] Failed to resolve hostname a..b: Name or service not known
[error] ${from}: Input/output error`,
      { _tag: "DnsError", host: "10.0.0.5", why: "NoSuchHost" }
    ],
    [
      "a name server that does not answer",
      `[tcp @ 0x56494d38b900] [error] Failed to resolve hostname cam7: Temporary failure in name resolution
[error] ${from}: Input/output error`,
      { _tag: "DnsError", host: "10.0.0.5", why: "NoAnswer" }
    ],
    [
      "no route",
      `[tcp @ 0x55bc326daec0] [error] Connection to tcp://10.0.0.5:554?timeout=0 failed: No route to host
[error] ${from}: No route to host`,
      { _tag: "HostUnreachable", authority: "10.0.0.5:554" }
    ],
    [
      "no network, in the words of ffprobe 4",
      `[error] ${from}: Network is unreachable`,
      { _tag: "HostUnreachable", authority: "10.0.0.5:554" }
    ],
    [
      "a connection that is not accepted",
      `[tcp @ 0x5622ddc90900] [verbose] Starting connection attempt to 10.0.0.5 port 554
[tcp @ 0x5622ddc90900] [error] Connection to tcp://10.0.0.5:554?timeout=9000000 failed: Connection timed out
[error] ${from}: Connection timed out`,
      { _tag: "TimedOut", phase: "connecting", afterMs: 9000 }
    ],
    [
      "a wrong password",
      `[rtsp @ 0x562716096bc0] [error] method OPTIONS failed: 401 Unauthorized
[error] ${from}: Server returned 401 Unauthorized (authorization failed)`,
      { _tag: "Unauthorized", credentials: "wrong" }
    ],
    [
      "a wrong password, in the words of ffprobe 8",
      `[rtsp @ 0x5605efa69040] [error] method DESCRIBE failed: 401Unauthorized
[error] ${from}: Server returned 401 Unauthorized (authorization failed)`,
      { _tag: "Unauthorized", credentials: "wrong" }
    ],
    [
      "a stream that is not there",
      `[rtsp @ 0x556dae705bc0] [error] method DESCRIBE failed: 404 Not Found
[error] ${from}: Server returned 404 Not Found`,
      { _tag: "NotFound" }
    ],
    [
      "a 400, which no line on a method precedes",
      `[error] ${from}: Server returned 400 Bad Request`,
      { _tag: "Rejected", status: 400, detail: "Bad Request" }
    ],
    [
      "a 403",
      `[rtsp @ 0x5596568a31c0] [error] method DESCRIBE failed: 403 Forbidden
[error] ${from}: Server returned 403 Forbidden (access denied)`,
      { _tag: "Rejected", status: 403, detail: "Forbidden" }
    ],
    [
      "too many viewers",
      `[rtsp @ 0x562f06159200] [error] method PLAY failed: 453 Not Enough Bandwidth
[error] ${from}: Server returned 4XX Client Error, but not one of 40{0,1,3,4}`,
      { _tag: "Rejected", status: 453, detail: "Not Enough Bandwidth" }
    ],
    [
      "a camera that is overloaded, in the words of ffprobe 8",
      `[rtsp @ 0x55b9797776c0] [error] method DESCRIBE failed: 503Service Unavailable
[error] ${from}: Server returned 5XX Server Error reply`,
      { _tag: "Rejected", status: 503, detail: "Service Unavailable" }
    ],
    [
      "a status whose own line was lost",
      `[error] ${from}: Server returned 5XX Server Error reply`,
      { _tag: "Rejected", status: 500, detail: "Server returned 5XX Server Error reply" }
    ],
    [
      "a camera that knows UDP alone",
      `[rtsp @ 0x55f9ddd8b200] [error] method SETUP failed: 461 Unsupported Transport
[error] ${from}: Protocol not supported`,
      {
        _tag: "Rejected",
        status: 461,
        detail: "Unsupported Transport; the option transport may help"
      }
    ],
    [
      "what is no RTSP",
      `${connected}
[rtsp @ 0x562b199b7bc0] [warning] CSeq 1 expected, 0 received.
[error] ${from}: Invalid data found when processing input`,
      { _tag: "ProtocolError", detail: "the responses are not RTSP" }
    ],
    [
      "a connection that was closed",
      `${connected}
[error] ${from}: Invalid data found when processing input`,
      { _tag: "Closed", phase: "requesting the stream" }
    ],
    [
      "a connection that was closed, in the words of ffprobe 8",
      `${connected}
[rtsp @ 0x56415bc7e340] [warning] Failed reading RTSP data: End of file
[error] ${from}: Invalid data found when processing input`,
      { _tag: "Closed", phase: "requesting the stream" }
    ],
    [
      "silence, in the words of ffprobe 8",
      `${connected}
[rtsp @ 0x556bce693040] [warning] Failed reading RTSP data: Connection timed out
[error] ${from}: Invalid data found when processing input`,
      { _tag: "TimedOut", phase: "requesting the stream", afterMs: 9000 }
    ],
    [
      "silence after the description",
      `${connected}
[rtsp @ 0x564b791e5bc0] [verbose] SDP:
v=0

[error] ${from}: Connection timed out`,
      { _tag: "TimedOut", phase: "waiting for media", afterMs: 9000 }
    ],
    [
      "a protocol that was left out of the build",
      `[error] ${from}: Protocol not found`,
      { _tag: "Unsupported", what: "rtsp:// by this ffmpeg" }
    ],
    [
      "a certificate that nobody vouches for",
      `[tls @ 0x564afa74eb80] [error] error:0A000086:SSL routines::certificate verify failed
[error] ${from}: Input/output error`,
      { _tag: "CertificateError", detail: "error:0A000086:SSL routines::certificate verify failed" }
    ],
    [
      "an option of another version",
      `[error] Unrecognized option 'stimeout'.
[fatal] Error splitting the argument list: Option not found`,
      { _tag: "LaunchFailed", detail: "this ffmpeg does not support stimeout" }
    ]
  ])("names %s", (_, block, expected) => {
    assert.deepStrictEqual(plain(probed(block)), expected)
  })

  it("distinguishes silence from a closed connection by the time where the message does not", () => {
    const words = `${connected}\n[error] ${from}: Invalid data found when processing input`
    assert.strictEqual(probed(words, { lifeMs: 9100 })?._tag, "TimedOut")
    assert.strictEqual(probed(words, { lifeMs: 8000 })?._tag, "Closed")
  })

  it("reports a missing password where the row has none", () => {
    const camera = urlOf("rtsp://10.0.0.5:554/live")
    const words =
      "[error] rtsp://10.0.0.5:554/live: Server returned 401 Unauthorized (authorization failed)"
    assert.deepStrictEqual(plain(probed(words, { camera })), {
      _tag: "Unauthorized",
      credentials: "missing"
    })
  })

  it("names the response of HTTP cameras", () => {
    const http = "http://10.0.0.5/video.mjpg"
    const camera = urlOf(http)
    const reason = (block: string) => plain(probed(block, { camera }))
    assert.deepStrictEqual(
      reason(`[http @ 0x563caf9d5a40] [warning] HTTP error 503 Service Unavailable
[error] ${http}: Server returned 5XX Server Error reply`),
      { _tag: "Rejected", status: 503, detail: "Service Unavailable" }
    )
    assert.deepStrictEqual(reason(`[error] ${http}: Invalid data found when processing input`), {
      _tag: "ProtocolError",
      detail: "ffmpeg does not recognize the media"
    })
    assert.deepStrictEqual(reason(`[error] ${http}: End of file`), {
      _tag: "Closed",
      phase: "requesting the stream"
    })
  })

  it("returns no reason for messages without one", () => {
    assert.isUndefined(probed("[error] something else"))
    assert.isUndefined(probed(""))
  })

  it("detects how far a probe got", () => {
    const phase = (block: string) => phaseOf(FfmpegStderr.parse(text(block), { camera: from }))
    assert.strictEqual(
      phase("[tcp @ 0x55b5] [verbose] Starting connection attempt to 10.0.0.5 port 554"),
      "connecting"
    )
    assert.strictEqual(phase(connected), "requesting the stream")
    assert.strictEqual(phase(`${connected}\n[rtsp @ 0x55b5] [verbose] SDP:`), "waiting for media")
    // ffprobe 4 tells nothing
    assert.strictEqual(phase(""), "requesting the stream")
  })
})

describe("the reason of a relay's end", () => {
  it.each([
    [
      "a camera that refuses, in the words of ffmpeg 5",
      `[tcp @ 0x5563e6b9d280] [error] Connection to tcp://10.0.0.5:554?timeout=2000000 failed: Connection refused
[error] ${from}: Connection refused`,
      { _tag: "Refused", authority: "10.0.0.5:554" }
    ],
    [
      "a camera that refuses, in the words of ffmpeg 7",
      `[tcp @ 0x1e353b80] [error] Connection to tcp://10.0.0.5:554?timeout=2000000 failed: Connection refused
[in#0 @ 0x1e350480] [error] Error opening input: Connection refused
[error] Error opening input file ${from}.
[fatal] Error opening input files: Connection refused`,
      { _tag: "Refused", authority: "10.0.0.5:554" }
    ],
    [
      "a camera's 404, in the words of ffmpeg 8",
      `[rtsp @ 0x55a6375f2b40] [error] method DESCRIBE failed: 404Not Found
[in#0 @ 0x55a6375f2840] [error] Error opening input: Server returned 404 Not Found
[error] Error opening input file ${from}.
[fatal] Error opening input files: Server returned 404 Not Found`,
      { _tag: "NotFound" }
    ],
    [
      "a camera that has lost its video",
      `[warning] Guessed Channel Layout for Input Stream #0.0 : mono
[fatal] Stream map '0:v:0' matches no streams.
To ignore this, add a trailing '?' to the map.`,
      { _tag: "NoVideo" }
    ],
    [
      "a camera that has lost its video, in the words of ffmpeg 8",
      `[fatal] Stream map '' matches no streams.
To ignore this, add a trailing '?' to the map.
[error] Failed to set value '0:v:0' for option 'map': Invalid argument
[error] Error parsing options for output file ${to}.
[fatal] Error opening output files: Invalid argument`,
      { _tag: "NoVideo" }
    ],
    [
      "a camera that closes instead of sending",
      `[rtsp @ 0x55d367b8b280] [warning] Could not find codec parameters for stream 0 (Video: h264, none): unspecified size
Consider increasing the value for the 'analyzeduration' (0) and 'probesize' (5000000) options
[rtsp @ 0x55d367ba0480] [error] dimensions not set
[error] Could not write header for output file #0 (incorrect codec parameters ?): Invalid argument
[error] Error initializing output stream 0:0 -- `,
      { _tag: "Closed", phase: "waiting for media" }
    ],
    [
      "a server that refuses, in the words of ffmpeg 4 and 5",
      `[tcp @ 0x55e6e75e4d40] [error] Connection to tcp://127.0.0.1:8554?timeout=0 failed: Connection refused
[error] Could not write header for output file #0 (incorrect codec parameters ?): Connection refused
[error] Error initializing output stream 0:1 -- `,
      { _tag: "ServerGone", detail: "connection refused by 127.0.0.1:8554" }
    ],
    [
      "a server that refuses, in the words of ffmpeg 7 and 8",
      `[tcp @ 0xf38aa00] [error] Connection to tcp://127.0.0.1:8554?timeout=0 failed: Connection refused
[out#0/rtsp @ 0xf394380] [error] Could not write header (incorrect codec parameters ?): Connection refused`,
      { _tag: "ServerGone", detail: "connection refused by 127.0.0.1:8554" }
    ],
    [
      "a server without an address",
      `[tcp @ 0x56494d38b900] [error] Failed to resolve hostname a..b: Name or service not known
[error] Could not write header for output file #0 (incorrect codec parameters ?): Input/output error`,
      { _tag: "ServerGone", detail: 'cannot resolve host "127.0.0.1": no such host' }
    ],
    [
      "a server that wants another password",
      `[rtsp @ 0x55e4abeb40] [error] method ANNOUNCE failed: 401 Unauthorized
[error] Could not write header for output file #0 (incorrect codec parameters ?): Server returned 401 Unauthorized (authorization failed)`,
      { _tag: "ServerUnauthorized" }
    ],
    [
      "a server that rejects the stream",
      `[out#0/rtsp @ 0x250f2640] [error] Could not write header (incorrect codec parameters ?): Server returned 400 Bad Request`,
      { _tag: "ServerRejected", status: 400, detail: "Bad Request" }
    ],
    [
      "a server that knows no such path, in the words of ffmpeg 8",
      `[rtsp @ 0x563652ab8f80] [error] method ANNOUNCE failed: 404Not Found
[out#0/rtsp @ 0x563652a38580] [error] Could not write header (incorrect codec parameters ?): Server returned 404 Not Found`,
      { _tag: "ServerRejected", status: 404, detail: "Not Found" }
    ],
    [
      "a server that closes at ANNOUNCE",
      `[rtsp @ 0x56415bc7e340] [warning] Failed reading RTSP data: End of file
[out#0/rtsp @ 0x56415bc33580] [error] Could not write header (incorrect codec parameters ?): Invalid data found when processing input`,
      { _tag: "ServerGone", detail: "127.0.0.1:8554 closed the connection while publishing" }
    ],
    [
      "a server that goes away, in the words of ffmpeg 4 and 5",
      `[error] av_interleaved_write_frame(): Broken pipe
[error] Error writing trailer of ${to}: Broken pipe`,
      { _tag: "ServerGone", detail: "127.0.0.1:8554 closed the connection" }
    ],
    [
      "a server that goes away, in the words of ffmpeg 7 and 8",
      `[vost#0:0/copy @ 0xc0d4a40] [error] Error submitting a packet to the muxer: Connection reset by peer
[out#0/rtsp @ 0xbff7840] [error] Error muxing a packet
[out#0/rtsp @ 0xbff7840] [error] Task finished with error code: -104 (Connection reset by peer)
[out#0/rtsp @ 0xbff7840] [error] Terminating thread with return code -104 (Connection reset by peer)
[out#0/rtsp @ 0xbff7840] [error] Error writing trailer: Broken pipe`,
      { _tag: "ServerGone", detail: "127.0.0.1:8554 closed the connection" }
    ],
    [
      "an encoder that this build lacks",
      `[aost#0:1 @ 0x1c4b] [error] Unknown encoder 'libopus'
[error] Error opening output files: Encoder not found`,
      { _tag: "LaunchFailed", detail: "this ffmpeg does not support libopus" }
    ]
  ])("names %s", (_, block, expected) => {
    assert.deepStrictEqual(plain(relayed(block)), expected)
  })

  it.each([
    ["5", `[error] ${from}: Connection timed out`],
    ["7", "[in#0/rtsp @ 0x31b3f480] [error] Error during demuxing: Connection timed out"],
    [
      "8",
      `[rtsp @ 0x5597be5e8b40] [warning] Failed reading RTSP data: Connection timed out
[in#0/rtsp @ 0x5597be5e8840] [error] Error during demuxing: Connection timed out`
    ],
    ["4, which says nothing", ""]
  ])("reports a stall when a camera stops sending, with ffmpeg %s", (_, block) => {
    const reason = relayed(block, { status: 0, hadFlowed: true, silentMs: 9012.4 })
    assert.deepStrictEqual(plain(reason), { _tag: "Stalled", side: "input", afterMs: 9012 })
  })

  it("reports Closed when a camera closes the connection", () => {
    const reason = relayed("", { status: 0, hadFlowed: true, silentMs: 800 })
    assert.deepStrictEqual(plain(reason), { _tag: "Closed", phase: "streaming" })
    const early = relayed("", { status: 0, silentMs: 800 })
    assert.deepStrictEqual(plain(early), { _tag: "Closed", phase: "waiting for media" })
  })

  it("reports the first error as the cause", () => {
    const both = `[error] ${from}: Connection timed out
[error] Error writing trailer of ${to}: Broken pipe`
    assert.strictEqual(relayed(both, { hadFlowed: true, silentMs: 9000 })._tag, "Stalled")
  })

  it("ignores a status that did not end the relay", () => {
    const words = `[rtsp @ 0x55a5930d3280] [error] method GET_PARAMETER failed: 454 Session Not Found
[error] av_interleaved_write_frame(): Broken pipe`
    assert.strictEqual(relayed(words, { hadFlowed: true })._tag, "ServerGone")
  })

  it("keeps the last errors and the exit of an unexplained end", () => {
    const words = `[warning] something harmless
[error] one
[error] two
[error] three
[fatal] four`
    assert.deepStrictEqual(plain(relayed(words, { status: 187 })), {
      _tag: "Exited",
      status: 187,
      lastWords: "two; three; four"
    })
    assert.deepStrictEqual(plain(relayed("just this", { status: "SIGSEGV" })), {
      _tag: "Exited",
      status: "SIGSEGV",
      lastWords: "just this"
    })
  })

  it("does not report a signal or an exit code as Closed", () => {
    assert.strictEqual(relayed("", { status: "SIGKILL", hadFlowed: true })._tag, "Exited")
    assert.strictEqual(relayed("", { status: 255, hadFlowed: true })._tag, "Exited")
  })

  it("shows no password of either address, and no control character", () => {
    const words = `[error] Did you mean file:${from}? \u001b[31m ${to} Authorization: Basic dTpwQHNzd2Q= p@sswd`
    const { lastWords } = relayed(words) as { readonly lastWords: string }
    assert.notMatch(lastWords, /p%40sswd|p@sswd|dTpwQHNzd2Q/)
    // oxlint-disable-next-line no-control-regex
    assert.notMatch(lastWords, /[\u0000-\u001f]/)
    assert.include(lastWords, "Did you mean file:rtsp://***@10.0.0.5:554/live?")
  })

  it("shows no password outside a URL, in any encoding", () => {
    for (const secret of ["p@sswd", "p%40sswd", "dTpwQHNzd2Q="]) {
      const reason = relayed(`[error] camera said ${secret} is wrong`)
      assert.strictEqual(reason.message, "process exited with code 1: camera said *** is wrong")
    }
  })

  it("returns a reason for any message, without the password", () => {
    const urls = [urlOf(from), urlOf(to)]
    const lines = fc.array(
      fc.oneof(
        fc.string(),
        fc.constantFrom(`[error] ${from}: `, "[error] Could not write header: ", to),
        fc.string().map((noise) => `[error] ${noise} p@sswd`),
        fc.string().map((noise) => `[error] ${from}: ${noise}`)
      )
    )
    fc.assert(
      fc.property(lines, fc.boolean(), fc.nat(), (lines, hadFlowed, silentMs) => {
        const reason = relayed(lines.join("\n"), { hadFlowed, silentMs })
        assert.notInclude(reason.message, "p%40sswd")
        assert.notInclude(reason.message, "p@sswd")
        assert.isAtMost(lastMessages(lines, urls).length, 301)
      })
    )
  })
})
