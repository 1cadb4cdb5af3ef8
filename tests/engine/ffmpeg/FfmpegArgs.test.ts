import { assert, describe, it } from "@effect/vitest"
import { type AudioTrack, type CameraOptions, Ffmpeg } from "@restream/core"
import { Result } from "effect"
import { inspect } from "node:util"
import { camera, job, revealed } from "../Streams.ts"

const { ffmpegArguments, planAudio } = Ffmpeg.FfmpegArgs
const { ffprobeArguments } = Ffmpeg.FfprobeArgs
type FfmpegVersion = Ffmpeg.FfmpegVersion.FfmpegVersion
type Trust = Ffmpeg.FfmpegArgs.FfmpegOptions["serverTrust"]

const version = (major: number, minor = 0): FfmpegVersion => ({
  name: String(major - 54),
  libavformat: [major, minor]
})
const v4 = version(58, 24)
const v5 = version(59, 27)
const v70 = version(61, 1)
const v71 = version(61, 7)
const v8 = version(62, 3)

const from = "rtsp://admin:p%40ss@10.0.0.5/live"
const to = "rtsp://relay:s3cret@127.0.0.1:8554/cam7"

const alaw: AudioTrack = { codec: "pcm_alaw", sampleRate: 8000, channels: 1, copyable: true }
const aac: AudioTrack = { codec: "aac", sampleRate: 48_000, channels: 2, copyable: true }

const at = (version: FfmpegVersion, serverTrust: Trust = { _tag: "Verify" }) => ({
  version,
  serverTrust,
  ioTimeoutMs: 12_000
})

const jobOf = (
  url: string,
  to: string,
  chosen: Partial<CameraOptions> = {},
  audio?: AudioTrack
): Ffmpeg.FfmpegArgs.RelayJob => {
  const { destination, source } = job(url, to, chosen)
  const info = { video: { codec: "h264" }, audio }
  return { source, info, isInOrder: true, destination, audio: planAudio(source, info) }
}

const relaying = (
  version: FfmpegVersion,
  chosen: Partial<CameraOptions> = {},
  audio: AudioTrack | undefined = aac,
  url = from
) => ffmpegArguments(jobOf(url, to, chosen, audio), at(version))

/** The value behind an option. */
const valueOf = (args: ReadonlyArray<string>, option: string) => args[args.indexOf(option) + 1]

describe("the arguments of ffmpeg", () => {
  it("copy video and audio of an ordinary camera", () => {
    assert.strictEqual(
      revealed(relaying(v5)).join(" "),
      "-nostdin -hide_banner -loglevel level+warning -nostats -stats_period 1 -progress pipe:3 " +
        "-fpsprobesize 0 -analyzeduration 2000000 -max_ts_probe 0 -fflags +genpts " +
        "-rtsp_transport tcp -timeout 12000000 -allowed_media_types video+audio -protocol_whitelist rtp,udp,tcp -i rtsp://admin:p%40ss@10.0.0.5/live " +
        "-map 0:v:0 -c:v copy -map 0:a:0? -c:a copy " +
        "-max_interleave_delta 500000 -f rtsp -rtsp_transport tcp rtsp://relay:s3cret@127.0.0.1:8554/cam7"
    )
  })

  it("name the time-out as the version does, and leave out what it lacks", () => {
    const old = revealed(relaying(v4))
    assert.strictEqual(valueOf(old, "-stimeout"), "12000000")
    assert.notInclude(old, "-timeout")
    assert.notInclude(old, "-stats_period")
    for (const newer of [v5, v70, v8]) {
      assert.notInclude(revealed(relaying(newer)), "-stimeout")
      assert.strictEqual(valueOf(revealed(relaying(newer)), "-timeout"), "12000000")
    }
  })

  it("let ffmpeg 7.0 handle SIGTERM", () => {
    assert.notInclude(revealed(relaying(v70)), "-nostdin")
    for (const other of [v4, v5, v71, v8]) assert.include(revealed(relaying(other)), "-nostdin")
  })

  it("request no audio that is not relayed", () => {
    const dropped = revealed(relaying(v5, { audio: "drop" }))
    assert.strictEqual(valueOf(dropped, "-allowed_media_types"), "video")
    assert.notInclude(dropped, "0:a:0?")
    const silent = revealed(ffmpegArguments(jobOf(from, to), at(v5)))
    assert.strictEqual(valueOf(silent, "-allowed_media_types"), "video")
    assert.notInclude(silent, "0:a:0?")
  })

  it("transcode what can't be copied", () => {
    const uncopyable = revealed(relaying(v5, {}, { ...aac, copyable: false }))
    assert.strictEqual(valueOf(uncopyable, "-c:a"), "aac")
    assert.strictEqual(valueOf(uncopyable, "-b:a"), "96k")
    const telephone = revealed(relaying(v5, { audio: "aac" }, alaw))
    assert.strictEqual(valueOf(telephone, "-b:a"), "32k")
    const opus = revealed(relaying(v5, { audio: "opus" }))
    assert.strictEqual(valueOf(opus, "-c:a"), "libopus")
    assert.strictEqual(valueOf(opus, "-ar"), "48000")
  })

  it("use the clock of this machine for timestamps where the row sets it", () => {
    const words = revealed(relaying(v5, { wallclock: true }))
    assert.strictEqual(valueOf(words, "-use_wallclock_as_timestamps"), "1")
    assert.isBelow(words.indexOf("-use_wallclock_as_timestamps"), words.indexOf("-i"))
    assert.notInclude(revealed(relaying(v5)), "-use_wallclock_as_timestamps")
  })

  it("request the transport of the row, and always publish by TCP", () => {
    const words = revealed(relaying(v5, { transport: "udp" }))
    assert.strictEqual(valueOf(words, "-rtsp_transport"), "udp")
    assert.strictEqual(words[words.lastIndexOf("-rtsp_transport") + 1], "tcp")
  })

  it("omit RTSP options for other sources", () => {
    for (const url of [
      "http://10.0.0.5/video.mjpg",
      "rtmp://10.0.0.5/live",
      "srt://10.0.0.5:9000"
    ]) {
      const words = revealed(relaying(v5, {}, aac, url))
      const input = words.slice(0, words.indexOf("-i"))
      assert.notInclude(input, "-rtsp_transport")
      assert.notInclude(input, "-timeout")
      assert.notInclude(input, "-allowed_media_types")
      assert.strictEqual(valueOf(input, "-rw_timeout"), "12000000")
    }
  })

  it("open no local files", () => {
    for (const url of [
      "file://localhost/etc/passwd",
      "concat://x/y",
      "lavfi://x/y",
      "pipe://x/y"
    ]) {
      const refused = relaying(v5, {}, aac, url)
      assert.strictEqual(Result.isFailure(refused) && refused.failure._tag, "InvalidUrl", url)
    }
  })

  it("verify a camera's certificate unless the row disables that", () => {
    const named = "rtsps://gate.example/live"
    const bare = "rtsps://10.0.0.5/live"
    const tagOf = (result: ReturnType<typeof relaying>) =>
      Result.isFailure(result) ? result.failure._tag : undefined
    assert.strictEqual(tagOf(relaying(v71, {}, aac, named)), "Unsupported")
    assert.strictEqual(valueOf(revealed(relaying(v8, {}, aac, named)), "-tls_verify"), "1")
    // 8.0 compares no name with a bare address
    assert.strictEqual(tagOf(relaying(v8, {}, aac, bare)), "Unsupported")
    assert.strictEqual(tagOf(relaying(v8, {}, aac, "rtsps://[fd00::5]/live")), "Unsupported")
    assert.notInclude(revealed(relaying(v5, { insecure: true }, aac, bare)), "-tls_verify")
    const pinned = { insecure: true, fingerprint: "00".repeat(32) }
    assert.strictEqual(tagOf(relaying(v8, pinned, aac, named)), "Unsupported")
    // ffmpeg 9 verifies by default, and older ones pass no option on
    assert.strictEqual(
      valueOf(revealed(relaying(v8, { insecure: true }, aac, bare)), "-tls_verify"),
      "0"
    )
    // one rule for all that is encrypted
    for (const scheme of ["https", "rtmps"]) {
      const at = (host: string) => `${scheme}://${host}/live`
      assert.strictEqual(tagOf(relaying(v5, {}, aac, at("gate.example"))), "Unsupported")
      assert.strictEqual(tagOf(relaying(v8, {}, aac, at("10.0.0.5"))), "Unsupported")
      assert.strictEqual(tagOf(relaying(v8, pinned, aac, at("gate.example"))), "Unsupported")
      const verified = revealed(relaying(v8, {}, aac, at("gate.example")))
      assert.strictEqual(valueOf(verified, "-tls_verify"), "1")
      assert.isBelow(verified.indexOf("-tls_verify"), verified.indexOf("-i"))
      for (const version of [v5, v8]) {
        const any = revealed(relaying(version, { insecure: true }, aac, at("10.0.0.5")))
        assert.strictEqual(valueOf(any, "-tls_verify"), "0")
      }
    }
    // it is no matter where nothing is encrypted
    assert.isUndefined(tagOf(relaying(v5, pinned)))
  })

  it("verify the media server's certificate unless the settings disable that", () => {
    const publishing = (version: FfmpegVersion, serverTrust: Trust) =>
      ffmpegArguments(jobOf(from, "rtsps://media.example/cam7"), at(version, serverTrust))
    const verified = revealed(publishing(v8, { _tag: "Verify" }))
    assert.isAbove(verified.indexOf("-tls_verify"), verified.indexOf("-i"))
    assert.isTrue(Result.isFailure(publishing(v5, { _tag: "Verify" })))
    assert.isTrue(Result.isFailure(publishing(v8, { _tag: "Verify", ca: "PEM" })))
    assert.isTrue(Result.isFailure(publishing(v8, { _tag: "Fingerprint", sha256: "00" })))
    assert.notInclude(revealed(publishing(v5, { _tag: "Insecure" })), "-tls_verify")
  })

  it("show no secret when they are printed", () => {
    const printed = inspect(relaying(v5), { depth: 9 }) + JSON.stringify(relaying(v5))
    assert.notInclude(printed, "p%40ss")
    assert.notInclude(printed, "s3cret")
  })
})

describe("the plan for audio", () => {
  const plan = (policy: CameraOptions["audio"], audio: AudioTrack | undefined) =>
    planAudio(camera(from, { audio: policy }), { video: { codec: "h264" }, audio })
  const g726: AudioTrack = { codec: "adpcm_g726le", copyable: true }
  const bareAac: AudioTrack = { ...aac, copyable: false }
  const opus: AudioTrack = { codec: "opus", copyable: true }

  it("follows the audio policy and the tracks of the camera", () => {
    const table = [
      //         none    aac     bare    alaw    g726    opus
      ["auto", ["none", "copy", "aac", "copy", "aac", "copy"]],
      ["copy", ["none", "copy", "copy", "copy", "copy", "copy"]],
      ["aac", ["none", "copy", "aac", "aac", "aac", "aac"]],
      ["opus", ["none", "opus", "opus", "opus", "opus", "copy"]],
      ["drop", ["none", "none", "none", "none", "none", "none"]]
    ] as const
    for (const [policy, expected] of table) {
      assert.deepStrictEqual(
        [undefined, aac, bareAac, alaw, g726, opus].map((audio) => plan(policy, audio)),
        [...expected],
        policy
      )
    }
  })
})

describe("the arguments of ffprobe", () => {
  const probing = (version: FfmpegVersion, timeoutMs: number, url = from) =>
    revealed(ffprobeArguments(camera(url), { version, timeoutMs }))

  it("ask for a report and the progress, and wait for no media of an RTSP camera", () => {
    assert.strictEqual(
      probing(v5, 10_000).join(" "),
      "-hide_banner -loglevel level+verbose -print_format json -show_streams -show_data " +
        "-nofind_stream_info " +
        "-rtsp_transport tcp -timeout 9000000 -allowed_media_types video+audio -protocol_whitelist rtp,udp,tcp -i rtsp://admin:p%40ss@10.0.0.5/live"
    )
    assert.strictEqual(valueOf(probing(v4, 1_000), "-stimeout"), "900000")
  })

  it("analyse the media of other sources for half of a short timeout at most", () => {
    const source = "http://10.0.0.5/live.flv"
    assert.strictEqual(valueOf(probing(v5, 10_000, source), "-analyzeduration"), "2000000")
    assert.strictEqual(valueOf(probing(v5, 1_000, source), "-analyzeduration"), "500000")
    assert.notInclude(probing(v5, 10_000, source), "-nofind_stream_info")
  })
})
