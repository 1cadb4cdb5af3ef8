/** `restream check`: probes every camera once and reports the failures. */
import { oneLine } from "@restream/config"
import {
  type Camera,
  CameraDecoder,
  CameraTypes,
  Check,
  DesiredCameras,
  type InvalidCamera,
  LiveSettings,
  MemoryCameraSource,
  ProbeScheduler,
  PublishedStreams,
  Restream,
  ServerCheck,
  ServerChoice,
  knownColumns
} from "@restream/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { explanation, makeRecorder } from "../explain/Explanation.ts"
import * as Logs from "../log/Logs.ts"
import { exitStatus, Failure, failOnSettings, usageFailure } from "../process/Failure.ts"
import { findProgram } from "../process/FindProgram.ts"
import { draw, print, printMessage } from "../process/Output.ts"
import { cameraListOf, loadSettings } from "../settings/LoadSettings.ts"
import { settingFlagsOf } from "../settings/SettingFlags.ts"
import * as CameraListing from "../source/CameraListing.ts"
import { canRedraw, hasColor } from "../text/Terminal.ts"
import {
  checkJson,
  checkSummary,
  checkTable,
  checkWarnings,
  fallbackWarning,
  inOrder,
  hasFailed,
  jsonText,
  namesInRows
} from "./CheckReport.ts"
import { restream } from "./restream.ts"

const flags = {
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print a JSON document"),
    Flag.withDefault(false)
  ),
  wrong: Flag.Boolean("wrong").pipe(
    Flag.withDescription("List failed cameras only; all cameras are checked and counted"),
    Flag.withDefault(false)
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription(
      "Probe every camera, also those that are relayed already: a second connection to each"
    ),
    Flag.withDefault(false)
  ),
  find: Flag.Boolean("find").pipe(
    Flag.withDescription(
      "Ask the local networks for the cameras whose rows name their device, and propose the changes for those that are at another address"
    ),
    Flag.withDefault(false)
  ),
  address: Flag.String("address").pipe(
    Flag.withDescription(
      "With --find: ask this address instead of the local networks; may be repeated"
    ),
    Flag.withMetavar("HOST[:PORT]"),
    Flag.atLeast(0)
  ),
  camera: Flag.String("camera").pipe(
    Flag.withDescription("Check only the camera with this id; may be repeated"),
    Flag.withMetavar("ID"),
    Flag.atLeast(0)
  ),
  explain: Flag.String("explain").pipe(
    Flag.withDescription(
      "Check only the camera with this id, and print how its address came about and each step of the probe"
    ),
    Flag.withMetavar("ID"),
    Flag.optional
  ),
  concurrency: Flag.Int("concurrency").pipe(
    Flag.withDescription("Maximum number of concurrent probes. Default: probe.concurrency"),
    Flag.withMetavar("N"),
    Flag.optional
  )
}

export const check = Command.make(
  "check",
  flags,
  Effect.fnUntraced(function* ({
    address,
    camera,
    concurrency,
    explain,
    find,
    force,
    json,
    wrong
  }) {
    const explained = Option.getOrUndefined(explain)
    const only = explained === undefined ? camera : [explained]
    if (explained !== undefined && (camera.length > 0 || json || wrong)) {
      return yield* usageFailure(["--explain cannot be combined with --camera, --json or --wrong"])
    }
    if (find && (explained !== undefined || json)) {
      return yield* usageFailure(["--find cannot be combined with --explain or --json"])
    }
    const { settings, types, warning } = yield* failOnSettings(
      loadSettings(settingFlagsOf(yield* restream), {
        cameras: true,
        templates: true,
        plugins: true
      })
    )
    const list = yield* failOnSettings(cameraListOf(settings))
    const most = Option.getOrElse(concurrency, () => settings.probe.concurrency)
    if (most !== undefined && most < 1)
      return yield* usageFailure([`--concurrency: ${most} is out of range (1 or more)`])

    const known = knownColumns(settings, types)
    const { rows, warnings } = yield* CameraListing.fetch(list, settings, known).pipe(
      Effect.mapError((error) =>
        error._tag === "SettingsError" ? error : usageFailure([error.message])
      ),
      failOnSettings
    )
    for (const line of [warning ?? [], warnings].flat()) yield* printMessage(line)
    const live = LiveSettings.layer(settings)
    const engines = Restream.builtInEngines.pipe(Layer.provide(live))
    const set = yield* DesiredCameras.pipe(
      Effect.flatMap(({ changes }) => Stream.runHead(changes)),
      Effect.map(Option.getOrThrow),
      Effect.provide(
        DesiredCameras.layer.pipe(
          Layer.provide([MemoryCameraSource.layer(rows), CameraTypes.layer(types), engines, live])
        )
      )
    )
    const wanted = [...set.cameras.values()]
    const unknown = only.filter((id) => !wanted.some((one) => one.id === id))
    if (unknown.length > 0) {
      return yield* usageFailure(
        unknown.map(
          (id) =>
            `--${explained === undefined ? "camera" : "explain"}: no enabled camera has the id ${id}`
        )
      )
    }
    const isChosen = ({ id, substream }: Camera | InvalidCamera) =>
      only.includes(id) || (substream !== undefined && only.includes(substream.of))
    const cameras = only.length === 0 ? wanted : wanted.filter(isChosen)

    const published = force ? PublishedStreams.none : yield* PublishedStreams.make(settings)
    const progress = makeProgress(cameras.length, json)
    const recorder = explained === undefined ? undefined : makeRecorder()
    const [took, results] = yield* Check.run(cameras, published).pipe(
      Stream.tap(progress.onResult),
      Stream.runCollect,
      Effect.ensuring(progress.clear),
      Effect.timed,
      recorder === undefined ? (self) => self : Effect.withTracer(recorder.tracer),
      Effect.provide(
        ProbeScheduler.layerOnce({ concurrency: most, perHost: settings.probe.perHost }).pipe(
          Layer.provide(engines),
          Layer.merge(Logs.layer(settings.log, process.stderr))
        )
      )
    )
    const report = inOrder(cameras, results)
    // a published path needs no check: the media server accepts it
    const unpublished = report.flatMap(({ _tag, camera }) =>
      _tag !== "Relayed" && camera._tag === "Camera" ? [camera] : []
    )
    const serverProblems =
      explained === undefined ? yield* ServerCheck.run(settings, unpublished, published) : []
    const isListed = wrong ? hasFailed : () => true
    // the number of disabled cameras is omitted for selected cameras
    const disabled = only.length === 0 ? set.disabled.size : 0
    const { ffprobePath, path } = settings.ffmpeg
    const hasFfmpeg = [path, ffprobePath].every((name) => findProgram(name) !== undefined)
    const fallback = fallbackWarning(report, hasFfmpeg)
    const listName = list._tag === "File" ? oneLine(list.file) : "the table"
    const width = process.stdout.isTTY === true ? process.stdout.columns : undefined
    const [first, ...others] = report
    if (recorder !== undefined && first !== undefined) {
      const text = explanation(
        {
          row:
            rows.find(
              ({ id }) =>
                CameraDecoder.displayId(id) === (first.camera.substream?.of ?? first.camera.id)
            ) ?? {},
          type: CameraTypes.withTemplates(settings.cameraTypes, types).all.get(
            first.camera.type.trim().toLowerCase()
          ),
          settings,
          results: [first, ...others],
          spans: recorder.spans
        },
        width === undefined ? {} : { width }
      )
      yield* print(text)
      if (fallback !== undefined) yield* printMessage(fallback)
    } else if (json) {
      const names = namesInRows(rows)
      const document = checkJson(report, {
        took,
        disabled: set.disabled.size,
        names,
        viewersOf: ({ mediaServer }) =>
          ServerChoice.serverSettings(settings, mediaServer?.name) ?? settings.mediaServer,
        serverProblems,
        isListed
      })
      yield* print(jsonText(document))
    } else {
      const listed = report.filter(isListed)
      if (listed.length > 0) yield* print(checkTable(listed, width, hasColor(process.stdout)))
      for (const line of checkWarnings(listed)) yield* printMessage(line)
      if (fallback !== undefined) yield* printMessage(fallback)
      for (const line of serverProblems) yield* printMessage(line)
      for (const line of checkSummary(report, took, disabled, listName)) yield* printMessage(line)
    }
    if (find) {
      const { findMoved } = yield* Effect.promise(() => import("../discover/Discover.ts"))
      yield* findMoved(list, settings, rows, cameras, address)
    }
    if (report.some(hasFailed) || serverProblems.length > 0)
      return yield* new Failure({ status: exitStatus.problems, lines: [] })
  })
).pipe(
  Command.withDescription(
    "Probes every camera once and reports failures with their reasons. A camera whose path is published on the media server is reported as live and not probed, unless --force is given. The media server is checked as well: whether it is reachable, allows the paths and lets restream publish. Exit status: 0 all ok, 1 some cameras or the media server failed, 2 invalid settings, or no list of cameras"
  ),
  Command.withShortDescription("Probes every camera once and reports failures")
)

/** A progress line on a terminal. */
const makeProgress = (total: number, isJson: boolean) => {
  const isShown = canRedraw(process.stderr) && !isJson
  let done = 0
  let failed = 0
  return {
    onResult: (result: Check.CheckResult) =>
      Effect.suspend(() => {
        done++
        if (hasFailed(result)) failed++
        return isShown
          ? draw(`\r\u001b[Kchecked ${done} of ${total}, ${failed} failed`)
          : Effect.void
      }),
    clear: isShown ? draw("\r\u001b[K") : Effect.void
  }
}
