/**
 * Every setting of restream, with its default, its unit and its words for people.
 *
 * This schema is the one place to add a setting: the loader, the error lines, the flags, the names in
 * the environment, docs/settings.md and restream.example.yaml all come from it.
 */
import * as Schema from "effect/Schema"
import { AudioPolicy, CertificateFingerprint, EngineChoice, Transport } from "./CameraOptions.ts"
import * as Dsn from "./Dsn.ts"
import * as Kind from "./Kind.ts"
import { LogModule } from "./LogModule.ts"
import { group, optionalSetting, setting, type Setting, groupsOf } from "./Setting.ts"

/** Shorter ones would keep a processor, a camera or the database busy for nothing. */
const interval = Kind.duration({ least: "100 millis" })
const timeout = Kind.duration()
const pause = Kind.duration({ least: "0 seconds" })

const dsn: Kind.Kind<Dsn.Dsn> = {
  type: Dsn.Dsn,
  values: "DSN",
  parse: (given) => Dsn.parse(typeof given === "string" ? given : ""),
  print: Dsn.reveal
}

/** A plain identifier, or one in double quotes. Either may stand in SQL as it is. */
const identifier = String.raw`(?:[\p{L}_][\p{L}\p{N}_$]{0,62}|"(?:[^"\0]|""){1,63}")`
const tablePattern = new RegExp(String.raw`^${identifier}(?:\.${identifier})?$`, "u")

const table = Kind.text('a table such as cameras, video.cameras or video."Cameras"', (text) =>
  tablePattern.test(text.trim()) ? text.trim() : undefined
)

const channel = Kind.text(
  "a channel name: a letter or _, then letters, digits and _, 63 characters at most",
  (text) => (/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(text.trim()) ? text.trim() : undefined)
)

const query = Kind.text("a query that begins with SELECT or WITH", (text) => {
  const bare = text.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ").trim()
  return /^\(*\s*(?:select|with|table|values)\b/i.test(bare)
    ? text.trim().replace(/(?:\s*;)+$/, "")
    : undefined
})

/** A query may hold a key, for instance that of pgp_sym_decrypt. */
const withoutLiterals = (sql: string): string =>
  sql.replaceAll(/'(?:[^']|'')*'|(\$\w*\$)[\s\S]*?\1/g, "'***'").replaceAll(/\s+/g, " ")

const host = Kind.text("a host name or an IP address, without scheme and port", (text) => {
  const bare = text.trim().replace(/^\[(.*)\]$/, "$1")
  return /^[\p{L}\p{N}_.-]{1,253}$/u.test(bare) ||
    /^[0-9a-f:]*:[0-9a-f:.]*(?:%[\w.~-]+)?$/i.test(bare)
    ? bare
    : undefined
})

const pathTemplate = Kind.text(
  "a path with a column in braces such as cam{id}; besides, letters, digits and _ . / - may stand in it",
  (text) =>
    /^(?!\/)(?:[0-9a-zA-Z_./-]|\{[^{}]+\})+(?<!\/)$/.test(text.trim()) && text.includes("{")
      ? text.trim()
      : undefined
)

const fingerprint = Kind.text(
  "a SHA-256 fingerprint: 32 bytes in hexadecimal, with or without colons",
  (text) =>
    Schema.is(CertificateFingerprint)(text.trim())
      ? text.trim().replaceAll(":", "").toUpperCase()
      : undefined
)

const logLevel = Kind.choice(Schema.Literals(["trace", "debug", "info", "warn", "error"]))

export const Settings = Schema.Struct({
  database: group("The PostgreSQL database with the table of cameras.", {
    dsn: optionalSetting(dsn, {
      appliedBy: "restart",
      description:
        "The address of the database. In a user name or password the characters / # ? % @ are percent-encoded.",
      secret: true,
      show: Dsn.show,
      example: "postgres://user:password@host:5432/database",
      env: "PG_DSN",
      flags: ["pg-dsn", "pg_dsn"]
    }),
    table: setting(table, {
      appliedBy: "restart",
      description: "The table with the cameras, with its schema if that is not on the search path.",
      default: "cameras"
    }),
    query: optionalSetting(query, {
      appliedBy: "restart",
      description:
        "A SELECT that gives the cameras, for a table of another shape; columns are named by aliases. Given both, the query wins over database.table.",
      show: withoutLiterals,
      example: "SELECT id, address AS host FROM devices"
    }),
    pollInterval: setting(interval, {
      appliedBy: "reload",
      description: "How often the cameras are read, besides the notifications.",
      default: "10 seconds"
    }),
    queryTimeout: setting(timeout, {
      appliedBy: "reload",
      description: "How long one reading may take.",
      default: "10 seconds"
    }),
    connectTimeout: setting(timeout, {
      appliedBy: "restart",
      description: "How long connecting to the database may take.",
      default: "5 seconds"
    }),
    listen: setting(Kind.flag, {
      appliedBy: "restart",
      description: "Whether to LISTEN for notifications, so that a change acts at once.",
      default: true
    }),
    channel: setting(channel, {
      appliedBy: "restart",
      description: "The channel on which the table's trigger notifies.",
      default: "restream_cameras"
    })
  }),

  mediaServer: group(
    "The media server to which the cameras are republished.",
    {
      host: setting(host, {
        appliedBy: "restart",
        description: "Where the media server is.",
        default: "127.0.0.1",
        env: "MEDIA_SERVER_HOST"
      }),
      port: setting(Kind.wholeNumber(1, 65_535), {
        appliedBy: "restart",
        description: "Its RTSP port.",
        default: 8554,
        env: "MEDIA_SERVER_PORT"
      }),
      scheme: setting(Kind.choice(Schema.Literals(["rtsp", "rtsps"])), {
        appliedBy: "restart",
        description: "How it is spoken to: rtsps is RTSP over TLS.",
        default: "rtsp"
      }),
      username: optionalSetting(Kind.text(), {
        appliedBy: "restart",
        description: "The user name for publishing, if the media server wants one.",
        example: "restream"
      }),
      password: optionalSetting(Kind.secret, {
        appliedBy: "restart",
        description: "The password that goes with it.",
        secret: true,
        example: "secret"
      }),
      pathTemplate: setting(pathTemplate, {
        appliedBy: "reload",
        description:
          "The path of a camera whose row gives none. Columns of the row stand in braces.",
        default: "cam{id}"
      }),
      insecure: setting(Kind.flag, {
        appliedBy: "restart",
        description: "Whether to take any certificate of an rtsps media server, without looking.",
        default: false
      }),
      fingerprint: optionalSetting(fingerprint, {
        appliedBy: "restart",
        description:
          "The SHA-256 fingerprint of the one certificate to take from an rtsps media server, as openssl x509 -fingerprint -sha256 prints it.",
        example: "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
      }),
      checkInterval: setting(interval, {
        appliedBy: "reload",
        description: "How often to look whether the media server is there.",
        default: "5 seconds"
      }),
      checkTimeout: setting(timeout, {
        appliedBy: "reload",
        description: "How long such a look may take.",
        default: "2 seconds"
      })
    },
    [
      {
        at: "password",
        beside: "username",
        isBroken: ({ password, username }) => password !== undefined && username === undefined,
        says: "needs mediaServer.username, too"
      },
      {
        at: "fingerprint",
        beside: "scheme",
        isBroken: ({ fingerprint, scheme }) => fingerprint !== undefined && scheme === "rtsp",
        says: "is of no use over rtsp; set mediaServer.scheme to rtsps"
      },
      {
        at: "insecure",
        beside: "fingerprint",
        isBroken: ({ fingerprint, insecure }) => fingerprint !== undefined && insecure,
        says: "contradicts mediaServer.fingerprint; leave out one of the two"
      }
    ]
  ),

  camera: group("The choices for every camera whose row does not make its own.", {
    engine: setting(Kind.choice(EngineChoice), {
      appliedBy: "reload",
      description:
        "What relays a camera: native speaks RTSP in this process, ffmpeg starts one process for each camera, auto takes native wherever it can.",
      default: "auto"
    }),
    transport: setting(Kind.choice(Transport), {
      appliedBy: "reload",
      description: "How a camera is asked to send.",
      default: "tcp"
    }),
    audio: setting(Kind.choice(AudioPolicy), {
      appliedBy: "reload",
      description:
        "What becomes of the sound: auto copies what the media server takes and transcodes the rest, copy never transcodes, aac and opus always do, drop leaves it out.",
      default: "auto"
    }),
    wallclock: setting(Kind.flag, {
      appliedBy: "reload",
      description:
        "Whether packets get our clock's time instead of the camera's. It mends cameras whose clock jumps, and harms others.",
      default: false
    }),
    insecure: setting(Kind.flag, {
      appliedBy: "reload",
      description: "Whether to take any certificate of an rtsps camera, without looking.",
      default: false
    })
  }),

  cameraTypes: setting(Kind.record("type", Kind.text("a template of an address")), {
    appliedBy: "reload",
    description:
      "More camera types, each a template of the address in which columns stand in braces; {column|text} falls back to the text.",
    // a template may hold a password that all cameras share
    show: (types) => Object.keys(types).join(", "),
    example: { acme: "rtsp://{username}:{password}@{host}:{port|554}/live/{channel}" },
    default: {},
    fileOnly: true
  }),

  plugins: setting(Kind.list(Kind.text("a module's name"), { least: 0 }), {
    appliedBy: "restart",
    description:
      "Modules to load that add camera types: names of packages, or paths from ./ or ../ on. Paths start from the settings file's folder, or from the working folder if they stand in a flag or in the environment; packages are found from there and beside restream.",
    example: ["./acme.js"],
    default: []
  }),

  probe: group("Asking a camera whether it is there and what it sends.", {
    timeout: setting(timeout, {
      appliedBy: "reload",
      description: "How long one probe may take in all.",
      default: "10 seconds"
    }),
    concurrency: optionalSetting(Kind.wholeNumber(1, 1000), {
      appliedBy: "reload",
      description:
        "How many cameras are probed at the same time; one that is slow to answer makes room for another. Without it 128 by the native engine, and 32 by ffprobe, which is a process for each.",
      unit: "probes",
      example: 32
    }),
    perHost: setting(Kind.wholeNumber(1, 1000), {
      appliedBy: "reload",
      description: "How many of them may be at the same host.",
      unit: "probes",
      default: 1
    }),
    retryDelays: setting(Kind.list(interval, { least: 1 }), {
      appliedBy: "reload",
      description:
        "The waits before an unreachable camera is probed again; the last one repeats for ever.",
      default: ["1 second", "2 seconds", "4 seconds", "8 seconds", "16 seconds", "30 seconds"]
    }),
    jitter: setting(Kind.fraction, {
      appliedBy: "reload",
      description:
        "By which part each wait is randomly made longer or shorter, so that cameras do not come all at once: 0.1 is 10 %.",
      unit: "fraction",
      default: 0.1
    }),
    lockoutDelay: setting(interval, {
      appliedBy: "reload",
      description: "The wait after a wrong password, because cameras lock accounts.",
      default: "5 minutes"
    })
  }),

  relay: group("Republishing one camera.", {
    restartDelay: setting(interval, {
      appliedBy: "reload",
      description: "The wait between the end of a relay and its next start.",
      default: "5 seconds"
    }),
    restartBackoff: setting(Kind.flag, {
      appliedBy: "reload",
      description:
        "Whether that wait doubles while a relay keeps ending soon after its start, up to relay.restartMaxDelay.",
      default: true
    }),
    restartMaxDelay: setting(interval, {
      appliedBy: "reload",
      description: "The longest of the doubled waits; relay.restartDelay if that is longer.",
      default: "1 minute"
    }),
    stallTimeout: setting(timeout, {
      appliedBy: "reload",
      description: "How long a relay may stand still before it is ended and started again.",
      default: "10 seconds"
    }),
    killGrace: setting(pause, {
      appliedBy: "reload",
      description: "How long an ffmpeg that was asked to end may take before it is killed.",
      default: "3 seconds"
    }),
    startSpacing: setting(pause, {
      appliedBy: "reload",
      description:
        "The mean time between two starts, so that a thousand cameras come up as a ramp.",
      default: "10 ms"
    }),
    rejectedDelay: setting(interval, {
      appliedBy: "reload",
      description: "The wait after the media server rejected a stream.",
      default: "30 seconds"
    }),
    coalescing: setting(Kind.duration({ least: "0 seconds", most: "50 millis" }), {
      appliedBy: "restart",
      description:
        "How long the daemon lets packets gather before it reads on, once it relays 8 cameras by the native engine; 0ms switches it off. It takes a third or more off their CPU time, and delays them by so much.",
      default: "15 ms"
    })
  }),

  ffmpeg: group("The programs of FFmpeg, needed only for what the native engine does not do.", {
    path: setting(Kind.text("a path or a name on PATH"), {
      appliedBy: "reload",
      description: "ffmpeg: a path, or a name that is found on PATH.",
      default: "ffmpeg"
    }),
    ffprobePath: setting(Kind.text("a path or a name on PATH"), {
      appliedBy: "reload",
      description: "ffprobe: a path, or a name that is found on PATH.",
      default: "ffprobe"
    })
  }),

  log: group("What is logged, how, and where to.", {
    level: setting(logLevel, {
      appliedBy: "reload",
      description: "The least important messages that are logged.",
      default: "info"
    }),
    format: setting(Kind.choice(Schema.Literals(["auto", "pretty", "json", "logfmt"])), {
      appliedBy: "reload",
      description:
        "How a message looks; auto is pretty on a terminal and logfmt anywhere else. On a terminal pretty has colours, unless NO_COLOR is set or TERM is dumb.",
      default: "auto"
    }),
    file: optionalSetting(Kind.text("a path"), {
      appliedBy: "reload",
      description: "A file to which the log is written, too.",
      example: "/var/log/restream.log"
    }),
    fileMaxSize: setting(Kind.size(1e3, 1e12), {
      appliedBy: "reload",
      description: "The size at which a new file is begun.",
      default: "10 MB"
    }),
    fileMaxAge: setting(Kind.duration({ least: "1 minute", most: "366 days" }), {
      appliedBy: "reload",
      description: "The age at which a new file is begun, however small the old one is.",
      default: "1 day"
    }),
    fileKeep: setting(Kind.wholeNumber(1, 10_000), {
      appliedBy: "reload",
      description: "How many old files are kept.",
      unit: "files",
      default: 7
    }),
    modules: setting(Kind.record("module", logLevel, LogModule.literals), {
      appliedBy: "reload",
      description:
        "Other levels for single modules: camera, source, media-server, supervisor, engine, daemon.",
      example: { supervisor: "debug" },
      default: {},
      fileOnly: true
    })
  })
})

export type Settings = typeof Settings.Type

/** What holds where nothing is set. */
export const defaultSettings: Settings = Schema.decodeSync(Settings)({})

/** Every group with its settings; those that stand in no group come last, under the key "". */
export const settingGroups = groupsOf(Settings)

/** Every setting, in the order of the schema. */
export const settings: ReadonlyArray<Setting> = settingGroups.flatMap((one) => one.settings)
