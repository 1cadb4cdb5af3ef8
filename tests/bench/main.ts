/** `npm run bench -- relay|check|supervisor [flags] --json`: one line of JSON for each measurement. */
import { parseArgs } from "node:util"
import { relay } from "./relay.ts"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    cameras: { type: "string" },
    seconds: { type: "string" },
    engines: { type: "string" },
    refused: { type: "string" },
    silent: { type: "string" },
    json: { type: "boolean", default: false }
  }
})

const whole = (text: string | undefined, fallback: number): number => {
  const number = text === undefined ? fallback : Number(text)
  if (!Number.isInteger(number) || number < 0) throw new Error(`expected a whole number: ${text}`)
  return number
}

const measurements = (name: string | undefined): AsyncIterable<object> => {
  switch (name) {
    case "relay":
      return relay({
        cameras: whole(values.cameras, 10),
        seconds: whole(values.seconds, 10),
        engines: (values.engines ?? "native,ffmpeg").split(",")
      })
    default:
      throw new Error(`expected relay, check or supervisor, not ${String(name)}`)
  }
}

for await (const measurement of measurements(positionals[0])) {
  console.log(JSON.stringify(measurement, undefined, values.json ? undefined : 2))
}
