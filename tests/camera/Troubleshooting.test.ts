import { CameraSourceError, Reason } from "@restream/core"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const text = readFileSync(new URL("../../docs/troubleshooting.md", import.meta.url), "utf8")

/** The entries by their headings. */
const entries = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((entry) => [entry.slice(0, entry.indexOf("\n")), entry.replace(/^## [\s\S]*/m, "")])
)

const seconds = (count: number) => count * 1000

/** Each reason as an operator sees it, for the messages that the page quotes. */
const samples: {
  readonly [Tag in Reason.Reason["_tag"]]: ReadonlyArray<
    Extract<Reason.Reason, { readonly _tag: Tag }>
  >
} = {
  Refused: [new Reason.Refused({ authority: "10.0.0.5:554" })],
  OnvifError: [
    new Reason.OnvifError({
      problem: "NoService",
      detail: "no ONVIF service at 10.0.0.5:80 (HTTP status 404)"
    }),
    new Reason.OnvifError({
      problem: "NoProfile",
      detail: 'the device has no profile for stream "third"; its profiles: mainStream, subStream'
    }),
    new Reason.OnvifError({
      problem: "NoAddress",
      detail: "the device gave no URL for the stream"
    }),
    new Reason.OnvifError({
      problem: "Fault",
      detail: "GetProfiles failed: Optional Action Not Implemented"
    })
  ],
  DnsError: [
    new Reason.DnsError({ host: "cam7.example", why: "NoSuchHost" }),
    new Reason.DnsError({ host: "cam7.example", why: "NoAnswer" })
  ],
  HostUnreachable: [new Reason.HostUnreachable({ authority: "10.0.0.5:554" })],
  TimedOut: [
    new Reason.TimedOut({ phase: "connecting", afterMs: seconds(10) }),
    new Reason.TimedOut({
      phase: "requesting the stream",
      request: "DESCRIBE",
      afterMs: seconds(10)
    })
  ],
  Closed: [
    new Reason.Closed({
      phase: "requesting the stream",
      request: "DESCRIBE",
      code: "ECONNRESET"
    }),
    new Reason.Closed({ phase: "streaming" })
  ],
  Unauthorized: [
    new Reason.Unauthorized({ credentials: "unsupported", requires: "the Digest algorithm SHA-1" }),
    new Reason.Unauthorized({ credentials: "wrong" }),
    new Reason.Unauthorized({ credentials: "missing" }),
    new Reason.Unauthorized({ credentials: "locked" }),
    new Reason.Unauthorized({ credentials: "wrong", clockSkewMs: -seconds(7200) }),
    new Reason.Unauthorized({ credentials: "wrong", clockSkewMs: null }),
    new Reason.Unauthorized({ credentials: "wrong", refusedFor: "12" })
  ],
  RedirectRefused: [
    new Reason.RedirectRefused({
      authority: "10.0.0.9:554",
      why: "another host, which requires the password unencrypted (Basic); if it is trusted, use its address as the URL"
    })
  ],
  NotFound: [new Reason.NotFound()],
  Rejected: [
    new Reason.Rejected({ status: 503, detail: "Service Unavailable", request: "DESCRIBE" })
  ],
  DeviceFull: [
    new Reason.DeviceFull({ status: 453 }),
    new Reason.DeviceFull({ status: 453, keptForMs: 45_000 })
  ],
  NoVideo: [new Reason.NoVideo()],
  ProtocolError: [
    new Reason.ProtocolError({ detail: 'not RTSP: the response begins with "SSH-2.0-OpenSSH"' })
  ],
  Unsupported: [new Reason.Unsupported({ what: "camera offers UDP only" })],
  CertificateError: [
    new Reason.CertificateError({ detail: "self-signed", fingerprint: "9F:86:D0" }),
    new Reason.CertificateError({
      detail: "the device supports TLS 1.0 only, which is not secure",
      fingerprint: "9F:86:D0"
    }),
    new Reason.CertificateError({ detail: "certificate verify failed" })
  ],
  Stalled: [
    new Reason.Stalled({ side: "input", afterMs: seconds(10) }),
    new Reason.Stalled({ side: "input", afterMs: seconds(10), unannouncedType: 50 }),
    new Reason.Stalled({ side: "output", afterMs: seconds(10) })
  ],
  InvalidUrl: [
    new Reason.InvalidUrl({ detail: 'unknown camera type "hikvison"; did you mean hikvision?' })
  ],
  Exited: [
    new Reason.Exited({ status: 1, lastWords: "Invalid data found when processing input" }),
    new Reason.Exited({ status: "SIGKILL", lastWords: "" })
  ],
  LaunchFailed: [
    new Reason.LaunchFailed({
      detail: "there is no program ffmpeg; ffmpeg.path says where it is"
    })
  ],
  InternalError: [new Reason.InternalError()],
  ServerUnauthorized: [
    new Reason.ServerUnauthorized({ credentials: "wrong" }),
    new Reason.ServerUnauthorized({ credentials: "missing" })
  ],
  ServerRejected: [
    new Reason.ServerRejected({ status: 400, detail: "Bad Request" }),
    new Reason.ServerRejected({ status: 400, detail: "Bad Request", request: "RECORD" }),
    new Reason.ServerRejected({ status: 400, detail: "Bad Request", character: ":" }),
    new Reason.ServerRejected({
      status: 400,
      detail: "Bad Request",
      publisher: '"Lavf61.7.100" at 10.0.0.4:50000'
    }),
    new Reason.ServerRejected({
      status: 400,
      detail: "Bad Request",
      request: "RECORD",
      expected: "h264 + aac/48000/2",
      announced: "hevc"
    })
  ],
  ServerGone: [new Reason.ServerGone({ detail: "connection closed" })],
  PublisherReplaced: [new Reason.PublisherReplaced()],
  PathOffline: [new Reason.PathOffline({ afterMs: seconds(10) })]
}

const tags = Reason.Reason.members.map(({ identifier }) => identifier)

const sourceTags = CameraSourceError.fields.reason.members.map(({ identifier }) => identifier)

describe("docs/troubleshooting.md", () => {
  it.each(tags)("has an entry for %s, with the messages that restream prints", (tag) => {
    const entry = entries.get(tag)
    assert.isDefined(entry, `no heading "### ${tag}"`)
    for (const { message } of samples[tag as keyof typeof samples]) {
      assert.include(entry, `\`${message}\``)
    }
  })

  it.each(sourceTags)("has an entry for %s of the camera source", (tag) => {
    assert.isTrue(entries.has(tag), `no heading "### ${tag}"`)
  })

  it.each([...entries])("says what %s looks like, what it means and what to do", (_, entry) => {
    assert.match(
      entry,
      /^\*\*What you see\.\*\* .+\n\n\*\*What it means\.\*\* .+\n\n\*\*What to do\.\*\* .+$/m
    )
  })

  it("has no entry for a reason that no longer exists", () => {
    const reasons = [...entries.keys()].filter((heading) => /^[A-Z][a-z]+[A-Z]\w*$/.test(heading))
    assert.deepStrictEqual(
      reasons.filter((heading) => !tags.includes(heading) && !sourceTags.includes(heading)),
      []
    )
  })
})
