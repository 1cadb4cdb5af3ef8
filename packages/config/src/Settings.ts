/**
 * All settings of restream, with default, unit and documentation.
 *
 * A setting is added only here: the type `Settings`, the loader, the error lines, the flags, the environment
 * variables, docs/settings.md and restream.example.yaml are derived from these definitions.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Struct from "effect/Struct"
import { AudioPolicy, EngineChoice, Transport } from "./CameraOptions.ts"
import { isLoopback } from "./Host.ts"
import { LogModule } from "./LogModule.ts"
import { mediaServersType } from "./MediaServers.ts"
import {
  group,
  groupsOf,
  optionalSetting,
  type Rule,
  setting,
  type Setting,
  type ValuesOf,
  withValueAt
} from "./Setting.ts"
import * as SettingType from "./SettingType.ts"
import { parseTableName } from "./TableName.ts"
import { parseDailySpan, webhooks } from "./Webhooks.ts"

/** The minimum protects the processor, the camera and the database. */
const interval = SettingType.duration({ least: "100 millis" })
const timeout = SettingType.duration()
const delay = SettingType.duration({ least: "0 seconds" })

const table = SettingType.text({
  problem: 'is not a table name, such as cameras, video.cameras or video."Cameras"',
  parse: (text) => (parseTableName(text) === undefined ? undefined : text.trim())
})

const isSameTable = (one: string, other: string): boolean =>
  JSON.stringify(parseTableName(one)) === JSON.stringify(parseTableName(other))

const channel = SettingType.text({
  problem: "is not a channel name (a letter or _, then letters, digits and _, up to 63 characters)",
  parse: (text) => (/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(text.trim()) ? text.trim() : undefined)
})

const tablePrefix = SettingType.text({
  problem:
    "is not a prefix for names of tables (a letter or _, then letters, digits and _, up to 40 characters, without a schema)",
  parse: (text) => (/^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(text.trim()) ? text.trim() : undefined)
})

const nodeName = SettingType.text({
  problem: "is not a name of a node (letters, digits and _ . - @, up to 50 characters)",
  parse: (text) => (/^[\w.@-]{1,50}$/.test(text.trim()) ? text.trim() : undefined)
})

const query = SettingType.text({
  problem: "is not a query that begins with SELECT or WITH",
  parse: (text) => {
    const bare = text.replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ").trim()
    return /^\(*\s*(?:select|with|table|values)\b/i.test(bare)
      ? text.trim().replace(/(?:\s*;)+$/, "")
      : undefined
  },
  // literals may be keys, for instance of pgp_sym_decrypt
  display: (sql) =>
    sql.replaceAll(/'(?:[^']|'')*'|(\$\w*\$)[\s\S]*?\1/g, "'***'").replaceAll(/\s+/g, " ")
})

const pathTemplate = SettingType.text({
  problem:
    "is not a path with a column in braces, such as cam{id} (letters, digits and _ . / - ~ : are allowed)",
  parse: (text) =>
    /^(?![/~])(?:[0-9a-zA-Z_.~:/-]|\{[^{}]+\})+(?<!\/)$/.test(text.trim()) && text.includes("{")
      ? text.trim()
      : undefined
})

const path = SettingType.text({ problem: "is not a path" })

/**
 * An address that viewers open. Without a trailing slash, because a camera's path follows.
 *
 * A user name or password is rejected: the address is shown to everybody who may watch.
 */
const viewerUrl = (...schemes: ReadonlyArray<string>) =>
  SettingType.text({
    problem: `is not a URL with ${schemes.join(" or ")} and without user name, password, query and fragment`,
    parse: (text) => {
      const url = text.trim()
      const isBase =
        /^[a-z]+:\/\/[^\s@?#\\]+$/i.test(url) &&
        URL.canParse(url) &&
        schemes.includes(new URL(url).protocol.slice(0, -1))
      return isBase ? url.replace(/\/+$/, "") : undefined
    },
    // a rejected value may contain a password
    display: (url) => url
  })

const httpUrl = viewerUrl("http", "https")

const headers = SettingType.refine(SettingType.secret, (value) => {
  const pairs = Redacted.value(value).split(",")
  const at = pairs.findIndex(
    (pair) =>
      pair.trim() !== "" && !/^\s*[\w!#$%&'*+.^`|~-]+\s*=[\t\x20-\x7e\x80-\xff]*$/.test(pair)
  )
  return at === -1 ? undefined : `item ${at + 1} is not a header as name=value`
})

const cameraFile = SettingType.text({
  problem: "is not a file whose name ends in .yaml, .yml, .json or .csv",
  parse: (text) => (/[^/]\.(?:ya?ml|json|csv)$/i.test(text.trim()) ? text.trim() : undefined)
})

const isHttps = (url: Redacted.Redacted | undefined): boolean =>
  url !== undefined && /^https:/i.test(Redacted.value(url))

const dailySpan = SettingType.text({
  problem: "is not a span of the day such as 22:00-06:00",
  parse: (text) => (parseDailySpan(text) === undefined ? undefined : text.trim())
})

const logLevel = SettingType.choice(Schema.Literals(["trace", "debug", "info", "warn", "error"]))

// a template may contain a password that all cameras share
const urlTemplate = SettingType.text({ problem: "is not a URL template", display: () => "***" })
const cameraTypes = SettingType.record("type", urlTemplate, {
  display: (types) => Object.keys(types).join(", ")
})

const mediaServerFields = {
  host: setting(SettingType.host, {
    appliedBy: "restart",
    description: "Host name or IP address of the media server.",
    default: "127.0.0.1",
    env: "MEDIA_SERVER_HOST"
  }),
  port: setting(SettingType.integer(1, 65_535), {
    appliedBy: "restart",
    description: "RTSP port of the media server.",
    default: 8554,
    env: "MEDIA_SERVER_PORT"
  }),
  scheme: setting(SettingType.choice(Schema.Literals(["rtsp", "rtsps"])), {
    appliedBy: "restart",
    description: "Protocol for publishing; rtsps is RTSP over TLS.",
    default: "rtsp"
  }),
  username: optionalSetting(SettingType.text(), {
    appliedBy: "restart",
    description: "User name for publishing, if the media server requires authentication.",
    example: "restream"
  }),
  password: optionalSetting(SettingType.secret, {
    appliedBy: "restart",
    description: "Password for publishing.",
    example: "secret"
  }),
  query: optionalSetting(SettingType.secret, {
    appliedBy: "restart",
    description:
      "Query of the URLs for publishing, without the question mark, for a media server that expects a token there.",
    example: "jwt=eyJhbGciOi…"
  }),
  pathTemplate: setting(pathTemplate, {
    appliedBy: "reload",
    description:
      "Path on the media server for a camera whose row has none. Names in braces are columns of the row.",
    default: "cam{id}"
  }),
  insecure: setting(SettingType.boolean, {
    appliedBy: "restart",
    description: "Accept any TLS certificate from the media server (disables verification).",
    default: false
  }),
  fingerprint: optionalSetting(SettingType.fingerprint, {
    appliedBy: "restart",
    description:
      "SHA-256 fingerprint of the TLS certificate that is accepted from the media server, as printed by openssl x509 -fingerprint -sha256.",
    example: "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08"
  }),
  webrtcUrl: optionalSetting(httpUrl, {
    appliedBy: "reload",
    description:
      "URL at which viewers reach the WebRTC server. It is shown, and the live picture of the dashboard is requested there. Default: http, mediaServer.host and port 8889.",
    example: "https://video.example:8889"
  }),
  hlsUrl: optionalSetting(httpUrl, {
    appliedBy: "reload",
    description:
      "URL at which viewers reach the HLS server. It is shown, and the live picture of the dashboard is requested there where WebRTC does not play. Default: http, mediaServer.host and port 8888.",
    example: "https://video.example:8888"
  }),
  rtspUrl: optionalSetting(viewerUrl("rtsp", "rtsps"), {
    appliedBy: "reload",
    description:
      "URL at which viewers reach the RTSP server; it is shown, and nothing connects to it. Default: mediaServer.scheme, mediaServer.host and mediaServer.port.",
    example: "rtsp://video.example:8554"
  }),
  apiUrl: optionalSetting(SettingType.serviceUrl, {
    appliedBy: "restart",
    description:
      "URL of the control API of MediaMTX, with the user name and the password of a user that has the permission api, if the API requires one. It is read at mediaServer.checkInterval. mediaServer.insecure and mediaServer.fingerprint hold for https. Default: the API is not used.",
    example: "http://user:password@127.0.0.1:9997"
  }),
  checkInterval: setting(interval, {
    appliedBy: "reload",
    description: "Interval between health checks of the media server.",
    default: "5 seconds"
  }),
  checkTimeout: setting(timeout, {
    appliedBy: "reload",
    description:
      "Timeout of one health check. A request to the API of mediaServer.apiUrl has at least 5 seconds, because MediaMTX delays the response to a wrong password by 2 seconds.",
    default: "2 seconds"
  })
}

const mediaServerRules: ReadonlyArray<Rule<ValuesOf<typeof mediaServerFields>>> = [
  {
    at: "password",
    other: "username",
    isViolated: ({ password, username }) => password !== undefined && username === undefined,
    message: "requires mediaServer.username"
  },
  {
    at: "fingerprint",
    other: "scheme",
    isViolated: ({ apiUrl, fingerprint, scheme }) =>
      fingerprint !== undefined && scheme === "rtsp" && !isHttps(apiUrl),
    message: "requires TLS; set mediaServer.scheme to rtsps"
  },
  {
    at: "insecure",
    other: "fingerprint",
    isViolated: ({ fingerprint, insecure }) => fingerprint !== undefined && insecure,
    message: "conflicts with mediaServer.fingerprint; remove one of them"
  }
]

/** The settings that apply to all servers of `mediaServers`. */
export const sharedServerSettings = ["pathTemplate", "checkInterval", "checkTimeout"] as const

const mediaServers = mediaServersType<
  Omit<ValuesOf<typeof mediaServerFields>, (typeof sharedServerSettings)[number]>
>(Struct.omit(mediaServerFields, sharedServerSettings), mediaServerRules)

const definitions = {
  database: group(
    "The PostgreSQL database that holds the table of cameras.",
    {
      dsn: optionalSetting(SettingType.dsn, {
        appliedBy: "restart",
        description:
          "URL of the database. Percent-encode the characters / # ? % @ in the user name and password.",
        example: "postgres://user:password@host:5432/database",
        env: "PG_DSN",
        flags: ["pg-dsn", "pg_dsn"]
      }),
      table: setting(table, {
        appliedBy: "restart",
        description: "Table of cameras; with its schema if the schema is not on the search path.",
        default: "cameras"
      }),
      query: optionalSetting(query, {
        appliedBy: "restart",
        description:
          "SELECT statement that returns the cameras, for an existing table with other column names (use aliases). Runs in a read-only transaction. Overrides database.table.",
        example: "SELECT id, address AS host FROM devices"
      }),
      pollInterval: setting(interval, {
        appliedBy: "reload",
        description: "Interval between reads of the camera table, in addition to notifications.",
        default: "10 seconds"
      }),
      queryTimeout: setting(timeout, {
        appliedBy: "reload",
        description: "Timeout of one read.",
        default: "10 seconds"
      }),
      connectTimeout: setting(timeout, {
        appliedBy: "restart",
        description: "Timeout for connecting to the database.",
        default: "5 seconds"
      }),
      listen: setting(SettingType.boolean, {
        appliedBy: "restart",
        description: "LISTEN for notifications, so that a change takes effect at once.",
        default: true
      }),
      guard: setting(SettingType.boolean, {
        appliedBy: "restart",
        description:
          "Take an advisory lock for the table and each media server, so that of several daemons one relays the cameras and the others are standbys.",
        default: true
      }),
      channel: setting(channel, {
        appliedBy: "restart",
        description: "Channel that the table's trigger notifies.",
        default: "restream_cameras"
      }),
      statusTable: optionalSetting(table, {
        appliedBy: "restart",
        description:
          "Table in which the daemon keeps one row per camera with its state, for joins with the table of cameras. restream db init --status creates it. Default: no such table.",
        example: "camera_status"
      })
    },
    [
      {
        at: "statusTable",
        other: "table",
        isViolated: ({ statusTable, table }) =>
          statusTable !== undefined && isSameTable(statusTable, table),
        message: "is the table of cameras; the state needs a table of its own"
      }
    ]
  ),

  source: group("A list of cameras outside of the database.", {
    file: optionalSetting(cameraFile, {
      appliedBy: "restart",
      description:
        "File that lists the cameras, read instead of the database: YAML or CSV, with the columns of the table. It is watched for changes. A relative path is resolved against the directory of the settings file, or against the working directory if set by a flag or the environment.",
      example: "cameras.yaml"
    })
  }),

  mediaServer: group(
    "The media server that the cameras are published to.",
    mediaServerFields,
    mediaServerRules
  ),

  failover: group(
    "Moving cameras to another media server while their own is unreachable. Only with mediaServers.",
    {
      after: optionalSetting(SettingType.duration({ least: "1 second" }), {
        appliedBy: "reload",
        description:
          "Time for which a media server must be unreachable before its cameras move. A camera moves to the next server for its path, unless its row names a server or its path contains the name of the server. Default: cameras wait for their server. See docs/scaling.md.",
        example: "30 seconds"
      }),
      backAfter: setting(SettingType.duration({ least: "1 second" }), {
        appliedBy: "reload",
        description:
          "Time for which a media server must be reachable without a break before its cameras return to it.",
        default: "5 minutes"
      })
    }
  ),

  camera: group("Defaults for all cameras. The options column of a row overrides them.", {
    engine: setting(SettingType.choice(EngineChoice), {
      appliedBy: "reload",
      description:
        "Relay engine: native speaks RTSP in this process, ffmpeg starts one process per camera, auto uses native where it supports the camera and ffmpeg elsewhere.",
      default: "auto"
    }),
    transport: setting(SettingType.choice(Transport), {
      appliedBy: "reload",
      description: "Transport of the media from the camera.",
      default: "tcp"
    }),
    audio: setting(SettingType.choice(AudioPolicy), {
      appliedBy: "reload",
      description:
        "Audio: auto copies codecs that the media server accepts and transcodes the rest, copy never transcodes, aac and opus always transcode, drop removes the audio.",
      default: "auto"
    }),
    wallclock: setting(SettingType.boolean, {
      appliedBy: "reload",
      description:
        "Use the local clock instead of the camera's, for cameras whose clock is wrong. The native engine writes the RTCP sender reports, ffmpeg the timestamps of all packets, which makes most streams worse.",
      default: false
    }),
    insecure: setting(SettingType.boolean, {
      appliedBy: "reload",
      description: "Accept any TLS certificate from a camera (disables verification).",
      default: false
    })
  }),

  mediaServers: setting(mediaServers, {
    appliedBy: "reload",
    description:
      "Several media servers, by name, instead of mediaServer: each camera is published to the server that its row names in the column media_server, or else to one that follows from its path. An entry has the keys of mediaServer (host is required) and weight, its share of the cameras relative to the other servers (default 1). mediaServer.pathTemplate, mediaServer.checkInterval and mediaServer.checkTimeout hold for all servers. See docs/scaling.md.",
    example: {
      hall: { host: "10.0.0.11" },
      yard: { host: "10.0.0.12", username: "restream", password: "secret", weight: 2 }
    },
    default: {}
  }),

  cameraTypes: setting(cameraTypes, {
    appliedBy: "reload",
    description:
      "Additional camera types, each a URL template. Names in braces are columns of the row; {column|text} uses the text where the column is empty.",
    example: { acme: "rtsp://{username}:{password}@{host}:{port|554}/live/{channel}" },
    default: {},
    fileOnly: true
  }),

  plugins: setting(
    SettingType.list(SettingType.text({ problem: "is not a module name" }), { minLength: 0 }),
    {
      appliedBy: "restart",
      description:
        "Modules that add camera types: package names, or paths that begin with ./, ../ or /. Relative paths are resolved against the directory of the settings file, or against the working directory if set by a flag or the environment. Packages are resolved from there, then from the installation of restream.",
      example: ["./acme.js"],
      default: []
    }
  ),

  probe: group("Connecting to a camera to find out whether it is reachable and what it sends.", {
    timeout: setting(timeout, {
      appliedBy: "reload",
      description: "Timeout of one probe.",
      default: "10 seconds"
    }),
    concurrency: optionalSetting(SettingType.integer(1, 1000), {
      appliedBy: "reload",
      description:
        "Maximum number of concurrent probes; a probe of a slow camera does not count. Default: 128 with the native engine, 32 with ffprobe.",
      unit: "probes",
      example: 32
    }),
    perHost: setting(SettingType.integer(1, 1000), {
      appliedBy: "reload",
      description: "Maximum number of cameras per host that are probed or started at a time.",
      unit: "probes",
      default: 1
    }),
    retryDelays: setting(SettingType.list(interval, { minLength: 1 }), {
      appliedBy: "reload",
      description: "Delays between probes of an unreachable camera. The last delay repeats.",
      default: ["1 second", "2 seconds", "4 seconds", "8 seconds", "16 seconds", "30 seconds"]
    }),
    jitter: setting(SettingType.fraction, {
      appliedBy: "reload",
      description: "Random jitter on each delay, as a fraction (0.1 = ±10 %).",
      unit: "fraction",
      default: 0.1
    }),
    failoverAfter: setting(SettingType.integer(1, 1000), {
      appliedBy: "reload",
      description:
        "Failures in a row of one address of a camera after which the next one is used, for a camera with backup addresses (several lines in url, or the column urls).",
      unit: "failures",
      default: 3
    }),
    failbackAfter: setting(interval, {
      appliedBy: "reload",
      description:
        "Time for which a preferred address must answer before a camera returns to it from a backup address. It is probed beside the relay three times in that time.",
      default: "1 minute"
    }),
    lockoutDelay: setting(interval, {
      appliedBy: "reload",
      description: "Delay after failed authentication. Cameras lock accounts after a few failures.",
      default: "5 minutes"
    })
  }),

  device: group("Limits of devices that serve several cameras, such as recorders.", {
    maxSessions: setting(SettingType.record("host pattern", SettingType.integer(1, 10_000)), {
      appliedBy: "reload",
      description:
        "Maximum number of sessions per device, by host pattern: * matches any text, and the first match applies. Without it, the limit of a device is found when the device refuses a session.",
      example: { "10.0.0.*": 32 },
      default: {},
      fileOnly: true
    })
  }),

  relay: group("Publishing a camera to the media server.", {
    restartDelay: setting(interval, {
      appliedBy: "reload",
      description: "Delay between the end of a relay and its restart.",
      default: "5 seconds"
    }),
    restartBackoff: setting(SettingType.boolean, {
      appliedBy: "reload",
      description:
        "Double the restart delay each time a relay ends soon after its start, up to relay.restartMaxDelay.",
      default: true
    }),
    restartMaxDelay: setting(interval, {
      appliedBy: "reload",
      description:
        "Maximum restart delay with backoff. relay.restartDelay applies if it is longer.",
      default: "1 minute"
    }),
    stallTimeout: setting(timeout, {
      appliedBy: "reload",
      description: "Time without media after which a relay is restarted.",
      default: "10 seconds"
    }),
    killGrace: setting(delay, {
      appliedBy: "reload",
      description: "Time between SIGTERM and SIGKILL when an ffmpeg process is stopped.",
      default: "3 seconds"
    }),
    startSpacing: setting(delay, {
      appliedBy: "reload",
      description: "Mean interval between relay starts, so that many cameras do not start at once.",
      default: "10 ms"
    }),
    rejectedDelay: setting(interval, {
      appliedBy: "reload",
      description: "Delay after the media server rejected a stream.",
      default: "30 seconds"
    }),
    coalescing: setting(SettingType.duration({ least: "0 seconds", most: "50 millis" }), {
      appliedBy: "restart",
      description:
        "Interval at which the native engine reads packets once it relays 8 or more cameras. Saves a third or more of the CPU time, and adds up to this latency. 0ms disables it.",
      default: "15 ms"
    })
  }),

  cluster: group(
    "Sharing the cameras of one table among several daemons, the nodes of a cluster.",
    {
      enabled: setting(SettingType.boolean, {
        appliedBy: "restart",
        description:
          "Share the cameras with the other nodes. Requires the tables that restream db init --cluster creates.",
        default: false
      }),
      name: optionalSetting(nodeName, {
        appliedBy: "restart",
        description:
          "Name of this node, different on every node. It appears in the log and as application_name in the database. Default: the host name.",
        example: "node-a"
      }),
      apiUrl: optionalSetting(httpUrl, {
        appliedBy: "restart",
        description:
          "URL at which the other nodes reach the HTTP API of this node, so that each node can show all cameras. Worker 2 has the next port, and so on. Default: http.host and http.port; for 0.0.0.0 and :: the host name of the machine; a loopback address is reached by the workers of the machine only.",
        example: "http://10.0.0.5:9995"
      }),
      weight: setting(SettingType.integer(1, 100), {
        appliedBy: "restart",
        description:
          "Share of the cameras, relative to the weights of the other nodes. Each worker of cluster.workers has it.",
        default: 1
      }),
      workers: setting(SettingType.orAuto(SettingType.integer(1, 64)), {
        appliedBy: "restart",
        description:
          "Number of processes that relay on this machine, each a node named cluster.name with -1, -2 and so on; auto is the number of available cores. One process relays on one core. Worker 2 has http.port + 1, and so on.",
        default: 1
      }),
      shards: setting(SettingType.integer(1, 10_000), {
        appliedBy: "restart",
        description:
          "Number of shards that the cameras are divided into; the same on every node. Use 1000 for more than 30 nodes.",
        default: 300
      }),
      lease: setting(SettingType.duration({ least: "1 second" }), {
        appliedBy: "restart",
        description:
          "Time after which the other nodes take over the cameras of a node that is silent; the same on every node. A node that is suspended for longer loses its cameras.",
        default: "3 seconds"
      }),
      whenDatabaseIsAway: setting(SettingType.choice(Schema.Literals(["keep", "stop"])), {
        appliedBy: "restart",
        description:
          "What a node does that cannot reach the database: keep its relays until it learns that another node has taken over, or stop them before the lease is over.",
        default: "keep"
      }),
      locks: setting(SettingType.choice(Schema.Literals(["auto", "advisory", "rows"])), {
        appliedBy: "restart",
        description:
          "How shards are locked; the same on every node. auto takes advisory locks, and rows with PostgreSQL 13 and earlier and behind a connection pooler in transaction mode.",
        default: "auto"
      }),
      tablePrefix: setting(tablePrefix, {
        appliedBy: "restart",
        description:
          "Prefix of the cluster's tables: one prefix per cluster in a database. Letters, digits and _; capital letters count. The tables are in the first schema of search_path.",
        default: "restream"
      })
    }
  ),

  supervisor: group("Protection from mass mistakes in the table of cameras.", {
    maxStopFraction: setting(SettingType.fraction, {
      appliedBy: "reload",
      description:
        "Share of the relays that one change of the table may stop at once. A change that would stop more, and at least 10, is held for supervisor.massStopDelay. 1 disables the protection.",
      unit: "fraction",
      default: 0.5
    }),
    massStopDelay: setting(delay, {
      appliedBy: "reload",
      description:
        "Time for which all reads must agree before a change that stops more relays than supervisor.maxStopFraction allows is applied.",
      default: "1 minute"
    })
  }),

  ffmpeg: group(
    "The FFmpeg programs. Required only for cameras and options that the native engine does not support.",
    {
      path: setting(path, {
        appliedBy: "reload",
        description: "Path of ffmpeg, or its name on PATH.",
        default: "ffmpeg"
      }),
      ffprobePath: setting(path, {
        appliedBy: "reload",
        description: "Path of ffprobe, or its name on PATH.",
        default: "ffprobe"
      })
    }
  ),

  http: group(
    "The HTTP server for the dashboard, the API, health checks and metrics.",
    {
      enabled: setting(SettingType.boolean, {
        appliedBy: "restart",
        description: "Whether the daemon runs the HTTP server.",
        default: true
      }),
      host: setting(SettingType.host, {
        appliedBy: "restart",
        description:
          "Address to listen on; 0.0.0.0 or :: for all interfaces. An address that other machines can reach requires http.token.",
        default: "127.0.0.1"
      }),
      port: setting(SettingType.integer(0, 65_535), {
        appliedBy: "restart",
        description: "Port to listen on; 0 for any free port, which the log names.",
        default: 9995
      }),
      token: optionalSetting(SettingType.secret, {
        appliedBy: "restart",
        description:
          "Token that clients must present; without one, everybody who reaches the port has access. It is sent unencrypted unless a reverse proxy adds HTTPS.",
        example: "a long random text"
      }),
      allowedHosts: setting(SettingType.list(SettingType.host, { minLength: 0 }), {
        appliedBy: "restart",
        description:
          "Host names by which clients reach the server, besides loopback and the address that it listens on; for instance the name of a reverse proxy.",
        example: ["restream.example"],
        default: []
      }),
      insecure: setting(SettingType.boolean, {
        appliedBy: "restart",
        description:
          "Listen on an address that other machines can reach without a token (everybody there has access).",
        default: false
      })
    },
    [
      {
        at: "host",
        other: "token",
        isViolated: ({ host, insecure, token }) =>
          !isLoopback(host) && token === undefined && !insecure,
        message:
          "can be reached by other machines; set http.token, or http.insecure to allow access without a token"
      }
    ]
  ),

  alerts: group("Messages to webhooks when cameras are down. See docs/monitoring.md.", {
    after: setting(SettingType.duration({ least: "1 second" }), {
      appliedBy: "reload",
      description:
        "Time for which a camera, the media server or the database must be down before an alert is sent, and in order before it is resolved.",
      default: "1 minute"
    }),
    quietHours: optionalSetting(dailySpan, {
      appliedBy: "reload",
      description:
        "Span of the day, in local time, in which no alerts are sent. What is still wrong or has been resolved at its end is sent then.",
      example: "22:00-06:00"
    }),
    webhooks: setting(webhooks, {
      appliedBy: "reload",
      description:
        "Where alerts are sent. A webhook has a name, a url, a format (json, slack, mattermost, telegram, ntfy, alertmanager or mqtt; default json) and, for json, ntfy and alertmanager, a secret.",
      example: [
        { name: "ops", url: "https://hooks.slack.com/services/…", format: "slack" },
        { name: "own", url: "https://alerts.example/restream", secret: "a long random text" }
      ],
      default: []
    })
  }),

  otlp: group("Export of traces, metrics and log lines to an OpenTelemetry collector.", {
    url: optionalSetting(httpUrl, {
      appliedBy: "restart",
      description:
        "Base URL of the collector (OTLP over HTTP, JSON); /v1/traces, /v1/metrics and /v1/logs are appended. Default: no export.",
      example: "http://127.0.0.1:4318"
    }),
    headers: optionalSetting(headers, {
      appliedBy: "restart",
      description: "Headers for the collector, as name=value pairs separated by commas.",
      example: "authorization=Bearer token"
    }),
    interval: setting(SettingType.duration({ least: "1 second" }), {
      appliedBy: "restart",
      description: "Interval between exports.",
      default: "10 seconds"
    })
  }),

  log: group("Log output.", {
    level: setting(logLevel, {
      appliedBy: "reload",
      description: "Minimum level of logged messages.",
      default: "info"
    }),
    format: setting(SettingType.choice(Schema.Literals(["auto", "pretty", "json", "logfmt"])), {
      appliedBy: "reload",
      description:
        "Log format; auto is pretty on a terminal and logfmt elsewhere. pretty uses colors on a terminal, unless NO_COLOR is set or TERM is dumb.",
      default: "auto"
    }),
    file: optionalSetting(path, {
      appliedBy: "reload",
      description: "File to write the log to, in addition to the standard streams.",
      example: "/var/log/restream.log"
    }),
    fileMaxSize: setting(SettingType.size(1e3, 1e12), {
      appliedBy: "reload",
      description: "Size at which the log file is rotated.",
      default: "10 MB"
    }),
    fileMaxAge: setting(SettingType.duration({ least: "1 minute", most: "366 days" }), {
      appliedBy: "reload",
      description: "Age at which the log file is rotated, regardless of its size.",
      default: "1 day"
    }),
    fileKeep: setting(SettingType.integer(1, 10_000), {
      appliedBy: "reload",
      description: "Number of rotated files to keep.",
      unit: "files",
      default: 7
    }),
    modules: setting(SettingType.record("module", logLevel, { names: LogModule.literals }), {
      appliedBy: "reload",
      description:
        "Levels for individual modules: camera, source, media-server, supervisor, alerts, engine, cluster, daemon.",
      example: { supervisor: "debug" },
      default: {},
      fileOnly: true
    })
  })
}

/** The settings of restream. They print without secrets. */
export interface Settings extends ValuesOf<typeof definitions> {}

/** Every group with its settings; the settings outside of groups come last, under the key "". */
export const settingGroups = groupsOf(definitions)

/** Every setting, in the order of the documentation. */
export const settings: ReadonlyArray<Setting> = settingGroups.flatMap((one) => one.settings)

/** The defaults. */
export const defaultSettings = settings.reduce(
  (tree, { default: value, path, type }) =>
    withValueAt(tree, path, value === undefined ? undefined : Result.getOrThrow(type.parse(value))),
  {}
) as Settings
