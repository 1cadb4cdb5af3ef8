import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as fc from "fast-check"
import { Message, Method } from "@restream/core/rtsp"
import { holds } from "./Fuzz.ts"

const parse = (text: string): Message.Head => Result.getOrThrow(Message.parseHead(text))

const fault = (text: string): string => {
  const parsed = Message.parseHead(text)
  assert.isTrue(Result.isFailure(parsed))
  return Result.isFailure(parsed) ? parsed.failure.detail : ""
}

describe("Message", () => {
  it("parses a response with its headers in order", () => {
    const head = parse(
      'RTSP/1.0 401 Unauthorized\r\nCSeq: 2\r\nWWW-Authenticate: Digest realm="a"\r\nWWW-Authenticate: Basic realm="b"\r\n\r\n'
    )
    assert.deepStrictEqual(head, {
      _tag: "Response",
      status: 401,
      reason: "Unauthorized",
      headers: [
        ["CSeq", "2"],
        ["WWW-Authenticate", 'Digest realm="a"'],
        ["WWW-Authenticate", 'Basic realm="b"']
      ]
    })
    assert.deepStrictEqual(Message.headerValues(head, "www-authenticate"), [
      'Digest realm="a"',
      'Basic realm="b"'
    ])
  })

  it("finds headers case-insensitively", () => {
    const head = parse("RTSP/1.0 200 OK\r\nPUBLIC: A\r\npublic: B\r\n\r\n")
    assert.strictEqual(Message.header(head, "Public"), "A")
    assert.deepStrictEqual(Message.headerValues(head, "Public"), ["A", "B"])
  })

  it("parses a request, even if its URL contains blanks", () => {
    const head = parse("SETUP rtsp://h/my stream/trackID=1 RTSP/1.0\nCSeq: 7\n\n")
    assert.deepInclude(head, { method: "SETUP", uri: "rtsp://h/my stream/trackID=1" })
  })

  it("parses a status without a reason phrase", () => {
    assert.deepInclude(parse("RTSP/1.0 200\r\nCSeq: 1\r\n\r\n"), { status: 200, reason: "" })
    assert.deepInclude(parse("RTSP/1.0 200 \r\nCSeq: 1\r\n\r\n"), { status: 200, reason: "" })
  })

  for (const name of ["CSeq", "Cseq", "cseq", "CSEQ"]) {
    it(`finds the sequence number under ${name}`, () => {
      assert.strictEqual(Message.cseq(parse(`RTSP/1.0 200 OK\r\n${name}: 41\r\n\r\n`)), 41)
    })
  }

  it("finds no sequence number if it is missing or invalid", () => {
    assert.isUndefined(Message.cseq(parse("RTSP/1.0 200 OK\r\n\r\n")))
    assert.isUndefined(Message.cseq(parse("RTSP/1.0 200 OK\r\nCSeq: x\r\n\r\n")))
  })

  it("joins continuation lines", () => {
    const head = parse("RTSP/1.0 200 OK\r\nPublic: OPTIONS,\r\n DESCRIBE\r\n\r\n")
    assert.strictEqual(Message.header(head, "public"), "OPTIONS, DESCRIBE")
  })

  it("describes an invalid head, without repeating it", () => {
    assert.include(fault("HTTP/1.1 400 Bad Request\r\n\r\n"), "HTTP")
    assert.include(fault("hello\r\n\r\n"), "invalid start line")
    assert.include(fault("RTSP/1.0 20 OK\r\n\r\n"), "invalid start line")
    assert.include(fault("RTSP/1.0 099 OK\r\n\r\n"), "below 100")
    assert.notInclude(fault("secret stuff\r\n\r\n"), "secret")
  })

  it("skips invalid header lines", () => {
    const lines = ["Cache Control: no-cache", "nonsense", "Date;x", ": nothing", "CSeq: 1"]
    const head = Message.parseHead(`RTSP/1.0 200 OK\r\n${lines.join("\r\n")}\r\n\r\n`)
    assert.deepStrictEqual(Result.getOrThrow(head).headers, [["CSeq", "1"]])
  })

  it("limits lines, headers and heads", () => {
    const start = "RTSP/1.0 200 OK\r\n"
    assert.include(
      fault(`${start}A: ${"x".repeat(Message.maxLineBytes)}\r\n\r\n`),
      "header line too long"
    )
    assert.include(
      fault(`RTSP/1.0 200 ${"x".repeat(Message.maxLineBytes)}\r\n\r\n`),
      "start line too long"
    )
    assert.include(fault(`${start}${"A: 1\r\n".repeat(Message.maxHeaders + 1)}\r\n`), "more than")
    assert.isTrue(
      Result.isSuccess(Message.parseHead(`${start}${"A: 1\r\n".repeat(Message.maxHeaders)}\r\n`))
    )
    assert.include(fault("x".repeat(Message.maxHeadBytes + 1)), "longer than")
  })

  it("parses the length of a body, and rejects an invalid length", () => {
    const length = (headers: string) =>
      Message.contentLength(parse(`RTSP/1.0 200 OK\r\n${headers}\r\n`))
    assert.deepStrictEqual(length(""), Result.succeed(0))
    assert.deepStrictEqual(length("content-length: 12\r\n"), Result.succeed(12))
    assert.deepStrictEqual(
      length("Content-Length: 12\r\nContent-Length: 12\r\n"),
      Result.succeed(12)
    )
    for (const wrong of [
      "Content-Length: -1\r\n",
      "Content-Length: 1e9\r\n",
      "Content-Length: 99999999999\r\n",
      `Content-Length: ${Message.maxBodyBytes + 1}\r\n`,
      "Content-Length: 1\r\nContent-Length: 2\r\n"
    ]) {
      assert.isTrue(Result.isFailure(length(wrong)), wrong)
    }
  })

  it("spends no time on pathological lines", () => {
    const blanks = " ".repeat(Message.maxLineBytes - 100)
    for (const line of [
      `OPTIONS${blanks}x${blanks.slice(100)}`.slice(0, Message.maxLineBytes),
      `OPTIONS x${blanks}RTSP/1`,
      `RTSP/1.0${blanks}`
    ]) {
      assert.isTrue(Result.isFailure(Message.parseHead(`${line}\r\n\r\n`)))
    }
    const { headers } = parse(`RTSP/1.0 200 OK\r\n${blanks}x\r\n\r\n`)
    assert.deepStrictEqual(headers, [])
  })

  it("prevents header injection through a value", () => {
    const bytes = Message.render({
      _tag: "Request",
      method: "OPTIONS",
      uri: "rtsp://h/\r\nEvil: 1",
      headers: [["User-Agent", "a\r\nEvil: 2"]],
      body: Message.noBody
    })
    assert.strictEqual(
      bytes.toString(),
      "OPTIONS rtsp://h/ Evil: 1 RTSP/1.0\r\nUser-Agent: a Evil: 2\r\n\r\n"
    )
  })

  it("decodes text of the wire as UTF-8 if valid, otherwise as Latin-1", () => {
    assert.strictEqual(Message.text(Buffer.from("Überwachung").toString("latin1")), "Überwachung")
    assert.strictEqual(Message.text("\xdcberwachung"), "Überwachung")
  })

  const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/)
  const value = fc
    .string({ unit: fc.constantFrom(...'abc123:;="/,. \xe9'.split("")), maxLength: 40 })
    .map((text) => text.trim())
  const headers = fc.array(fc.tuple(token, value), { maxLength: 10 })

  it("parses what it renders", () => {
    holds(
      fc.property(
        fc.oneof(
          fc.record({
            _tag: fc.constant("Request" as const),
            method: fc.constantFrom(...Method.methods),
            uri: fc.webUrl(),
            headers
          }),
          fc.record({
            _tag: fc.constant("Response" as const),
            status: fc.integer({ min: 100, max: 999 }),
            reason: value,
            headers
          })
        ),
        (head) => {
          const bytes = Message.render({ ...head, body: Message.noBody })
          assert.deepStrictEqual(parse(bytes.toString("latin1")), head)
        }
      )
    )
  })

  it("never throws on any input", () => {
    holds(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), fc.boolean(), (text, response) => {
        const parsed = Message.parseHead(response ? `RTSP/1.0 200 OK\r\n${text}` : text)
        if (Result.isSuccess(parsed)) Message.contentLength(parsed.success)
      })
    )
  })
})

describe("Method", () => {
  it("parses Public in any case and with any separator", () => {
    assert.deepStrictEqual(
      [...Method.parsePublic(["OPTIONS, describe;SETUP", "Get_Parameter"])],
      ["OPTIONS", "DESCRIBE", "SETUP", "GET_PARAMETER"]
    )
  })

  it("finds no methods without Public", () => {
    assert.strictEqual(Method.parsePublic([]).size, 0)
  })
})
