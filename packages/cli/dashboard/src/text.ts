/** The page's words, in English and Russian, and numbers and times as people read them. */
import { signal } from "@preact/signals"
import type { Failure, Protocol } from "./player.ts"

const en = {
  overview: "Overview",
  cameras: "Cameras",
  allLive: (n: string) => (n === "1" ? "The camera is live." : `All ${n} cameras are live.`),
  someLive: (live: string, all: string) => `${live} of ${all} cameras are live.`,
  needAttention: (n: number) => (n === 1 ? "1 camera needs you." : `${n} cameras need you.`),
  failingSubstreams: (n: number) =>
    n === 1 ? "1 further stream is down." : `${n} further streams are down.`,
  noCameras: "The camera list is empty.",
  loading: "Connecting to restream…",
  whatIsWrong: "What is wrong",
  nothing: "Nothing.",
  lastChanges: "What changed last",
  noChanges: "Nothing since this page was opened.",
  bitrateOfAll: "Bitrate of all cameras",
  for: (time: string) => `for ${time}`,
  ago: (time: string) => `${time} ago`,
  in: (time: string) => `in ${time}`,
  showCameras: (n: number) => (n === 1 ? "Show the camera" : `Show ${n} cameras`),
  uptime: "up for",
  lastRead: "camera list read",
  word_ok: "live",
  word_down: "down",
  word_waiting: "waiting",
  word_starting: "starting",
  word_invalid: "invalid",
  all: "all",
  filter: "Filter by name, path, host or id",
  filterWithNode: "Filter by name, path, host, node or id",
  shown: (shown: string, all: string) => `${shown} of ${all} cameras`,
  name: "Name",
  state: "State",
  sinceColumn: "Since",
  bitrate: "Bitrate",
  restarts: "Restarts, last hour",
  health: "Health",
  readers: "Readers",
  node: (name: string) => `node ${name}`,
  nodeColumn: "Node",
  nodes: "Nodes",
  allNodes: "all nodes",
  thisNode: "this node",
  camerasOf: (node: string, word: string) => `Cameras of ${node}: ${word}`,
  node_ok: "reachable",
  node_draining: "draining",
  node_unreachable: "unreachable",
  node_unknown: "unknown",
  nodesDown: (n: number) => (n === 1 ? "1 node does not respond." : `${n} nodes do not respond.`),
  silentNodes: (n: number, names: string) =>
    n === 1
      ? `Node ${names} does not respond. Its cameras may be missing here.`
      : `Nodes ${names} do not respond. Their cameras may be missing here.`,
  hiddenNodes: (n: number, names: string) =>
    n === 1
      ? `The cameras of node ${names} are not shown.`
      : `The cameras of nodes ${names} are not shown.`,
  allKnownLive: (n: string) =>
    n === "1" ? "The camera known here is live." : `All ${n} cameras known here are live.`,
  readersNow: (n: number) => (n === 1 ? "1 reader" : `${n} readers`),
  health_good: "good",
  health_fair: "fair",
  health_poor: "poor",
  reorder: "The order has changed: sort again",
  retrySelected: (n: number) => `Retry ${n} selected`,
  selection: "Selection",
  select: (name: string) => `Select ${name}`,
  whatToDo: "What to do",
  retry: "Retry now",
  restart: "Restart",
  restartAsk: "Restart the relay? Viewers lose the picture for a moment.",
  cancel: "Cancel",
  accepted: "Accepted.",
  failed: (why: string) => `Not accepted: ${why}`,
  unknownCamera: "There is no camera of this id.",
  nextTry: (time: string) => `Next attempt ${time}.`,
  tryingNow: "Being tried now.",
  timeline: "Timeline",
  facts: "Details",
  engine: "Engine",
  stream: "Stream",
  path: "Path",
  mediaServer: "Media server",
  address: "Address",
  probe: "Probe",
  received: "Received",
  lost: (lost: string, percent: string) => `${lost} packets lost (${percent})`,
  total: (n: number) => `${n} in all`,
  stalls: "Stalls, last hour",
  furtherStreams: "Further streams",
  furtherStreamOf: "Further stream of",
  serverWord: "Media server",
  serverOnline: (readers: number) =>
    readers === 1 ? "online, 1 reader" : `online, ${readers} readers`,
  serverOffline: "has no publisher on the path",
  log: "Log",
  watch: "Watch",
  copy: "Copy",
  copied: "Copied",
  stale: (time: string) => `No word from restream since ${time}. What you see may be old.`,
  signIn: "Sign in",
  token: "Token",
  wrongToken: "That token is not accepted.",
  tooMany: "Too many attempts; wait a minute.",
  language: "Русский",
  noAudio: "no audio",
  unknown: "unknown",
  wall: "Wall",
  picture: "Picture",
  noPictureYet: "Waiting for a picture…",
  noPictureOf: (engine: string) =>
    `The engine ${engine} relays this camera; pictures are taken by the native engine only.`,
  cannotShow: (codec: string) => `This browser can't show ${codec}.`,
  play: "Play live",
  stop: "Stop",
  liveOf: (name: string) => `${name}, live`,
  connecting: (by: string) => `Connecting by ${by}…`,
  firstPicture: (by: string, time: string) => `Live by ${by}. The first picture took ${time}.`,
  hlsDelay: "HLS is a few seconds late.",
  openHls: "Open the HLS player of the media server",
  live_unsupported: (by: string) => `This browser has no ${by}.`,
  live_codec: (by: string, codec: string) => `This browser does not play ${codec} by ${by}.`,
  live_notLive: () => "The camera is not live.",
  live_serverUnreachable: (by: string) => `No ${by} server responds.`,
  live_accessDenied: (by: string) => `The ${by} server does not allow reading.`,
  live_noStream: (by: string) => `The ${by} server does not have this path.`,
  live_rejected: (by: string) => `The ${by} server rejected the request.`,
  live_noConnection: () =>
    "No connection for the media by WebRTC: a firewall may block UDP port 8189 of the media server, or its webrtcAdditionalHosts lacks the address by which this browser reaches it.",
  live_noPicture: (by: string): string =>
    by === "WebRTC"
      ? "Connected by WebRTC, but no picture came. WebRTC carries no B-frames: choose the H.264 profile Baseline in the camera, or its sub stream."
      : "The media server sends HLS, but no picture came.",
  live_stalled: (by: string) => `The pictures by ${by} stopped.`
}

type Words = typeof en

const ruPlural = (n: number, one: string, few: string, many: string): string => {
  const form = new Intl.PluralRules("ru").select(n)
  return form === "one" ? one : form === "few" ? few : many
}

const ru: Words = {
  overview: "Обзор",
  cameras: "Камеры",
  allLive: (n) => (n === "1" ? "Камера работает." : `Все камеры работают (${n}).`),
  someLive: (live, all) => `Работают ${live} из ${all} камер.`,
  needAttention: (n) =>
    `${n} ${ruPlural(n, "камера требует", "камеры требуют", "камер требуют")} внимания.`,
  failingSubstreams: (n) =>
    `${ruPlural(n, "Не работает", "Не работают", "Не работают")} ${n} ${ruPlural(n, "дополнительный поток", "дополнительных потока", "дополнительных потоков")}.`,
  noCameras: "Список камер пуст.",
  loading: "Соединение с restream…",
  whatIsWrong: "Что не так",
  nothing: "Ничего.",
  lastChanges: "Последние изменения",
  noChanges: "С открытия страницы изменений не было.",
  bitrateOfAll: "Битрейт всех камер",
  for: (time) => `уже ${time}`,
  ago: (time) => `${time} назад`,
  in: (time) => `через ${time}`,
  showCameras: (n) => `Показать ${n} ${ruPlural(n, "камеру", "камеры", "камер")}`,
  uptime: "работает",
  lastRead: "список камер прочитан",
  word_ok: "работает",
  word_down: "не работает",
  word_waiting: "ожидает",
  word_starting: "запускается",
  word_invalid: "ошибка в строке",
  all: "все",
  filter: "Фильтр по имени, пути, адресу или id",
  filterWithNode: "Фильтр по имени, пути, адресу, узлу или id",
  shown: (shown, all) => `${shown} из ${all} камер`,
  name: "Имя",
  state: "Состояние",
  sinceColumn: "С какого времени",
  bitrate: "Битрейт",
  restarts: "Перезапуски за час",
  health: "Стабильность",
  readers: "Зрители",
  node: (name) => `узел ${name}`,
  nodeColumn: "Узел",
  nodes: "Узлы",
  allNodes: "все узлы",
  thisNode: "этот узел",
  camerasOf: (node, word) => `Камеры узла ${node}: ${word}`,
  node_ok: "доступен",
  node_draining: "освобождается",
  node_unreachable: "недоступен",
  node_unknown: "неизвестно",
  nodesDown: (n) =>
    `${ruPlural(n, "Не отвечает", "Не отвечают", "Не отвечают")} ${n} ${ruPlural(n, "узел", "узла", "узлов")}.`,
  silentNodes: (n, names) =>
    n === 1
      ? `Узел ${names} не отвечает. Его камер здесь может не быть.`
      : `Узлы ${names} не отвечают. Их камер здесь может не быть.`,
  hiddenNodes: (n, names) =>
    n === 1 ? `Камеры узла ${names} не показаны.` : `Камеры узлов ${names} не показаны.`,
  allKnownLive: (n) =>
    n === "1" ? "Известная здесь камера работает." : `Все известные здесь камеры работают (${n}).`,
  readersNow: (n) => `${n} ${ruPlural(n, "зритель", "зрителя", "зрителей")}`,
  health_good: "хорошая",
  health_fair: "средняя",
  health_poor: "плохая",
  reorder: "Порядок изменился: отсортировать заново",
  retrySelected: (n) => `Повторить для выбранных (${n})`,
  selection: "Выбор",
  select: (name) => `Выбрать ${name}`,
  whatToDo: "Что делать",
  retry: "Повторить сейчас",
  restart: "Перезапустить",
  restartAsk: "Перезапустить трансляцию? Зрители на мгновение потеряют изображение.",
  cancel: "Отмена",
  accepted: "Принято.",
  failed: (why) => `Не принято: ${why}`,
  unknownCamera: "Камеры с таким id нет.",
  nextTry: (time) => `Следующая попытка ${time}.`,
  tryingNow: "Идёт попытка.",
  timeline: "История",
  facts: "Подробности",
  engine: "Движок",
  stream: "Поток",
  path: "Путь",
  mediaServer: "Медиасервер",
  address: "Адрес",
  probe: "Проверка",
  received: "Получено",
  lost: (lost, percent) => `потеряно пакетов: ${lost} (${percent})`,
  total: (n) => `всего ${n}`,
  stalls: "Остановки видео за час",
  furtherStreams: "Дополнительные потоки",
  furtherStreamOf: "Дополнительный поток камеры",
  serverWord: "Медиасервер",
  serverOnline: (readers) => `в эфире, зрителей: ${readers}`,
  serverOffline: "на этом пути никто не публикует",
  log: "Журнал",
  watch: "Смотреть",
  copy: "Копировать",
  copied: "Скопировано",
  stale: (time) => `Нет связи с restream с ${time}. Данные могли устареть.`,
  signIn: "Войти",
  token: "Токен",
  wrongToken: "Токен не подходит.",
  tooMany: "Слишком много попыток; подождите минуту.",
  language: "English",
  noAudio: "без звука",
  unknown: "неизвестно",
  wall: "Стена",
  picture: "Изображение",
  noPictureYet: "Ожидание изображения…",
  noPictureOf: (engine) =>
    `Эту камеру передаёт движок ${engine}; изображения снимает только движок native.`,
  cannotShow: (codec) => `Этот браузер не показывает ${codec}.`,
  play: "Смотреть вживую",
  stop: "Остановить",
  liveOf: (name) => `${name}, вживую`,
  connecting: (by) => `Соединение через ${by}…`,
  firstPicture: (by, time) => `В эфире через ${by}. Первое изображение через ${time}.`,
  hlsDelay: "HLS отстаёт на несколько секунд.",
  openHls: "Открыть проигрыватель HLS медиасервера",
  live_unsupported: (by) => `В этом браузере нет ${by}.`,
  live_codec: (by, codec) => `Этот браузер не воспроизводит ${codec} через ${by}.`,
  live_notLive: () => "Камера не работает.",
  live_serverUnreachable: (by) => `Сервер ${by} не отвечает.`,
  live_accessDenied: (by) => `Сервер ${by} не разрешает чтение.`,
  live_noStream: (by) => `На сервере ${by} нет этого пути.`,
  live_rejected: (by) => `Сервер ${by} отклонил запрос.`,
  live_noConnection: () =>
    "Нет соединения WebRTC для видео: возможно, сетевой экран закрывает UDP-порт 8189 медиасервера или в webrtcAdditionalHosts нет адреса, по которому его видит этот браузер.",
  live_noPicture: (by) =>
    by === "WebRTC"
      ? "Соединение WebRTC есть, но изображения нет. WebRTC не передаёт B-кадры: выберите в камере профиль H.264 Baseline или дополнительный поток."
      : "Медиасервер передаёт HLS, но изображения нет.",
  live_stalled: (by) => `Изображение через ${by} остановилось.`
}

export type Language = "en" | "ru"

const stored = (): Language => {
  const chosen = localStorage.getItem("language") ?? navigator.language
  return chosen.startsWith("ru") ? "ru" : "en"
}

export const language = signal<Language>(stored())

export const switchLanguage = () => {
  language.value = language.value === "en" ? "ru" : "en"
  localStorage.setItem("language", language.value)
  document.documentElement.lang = language.value
}
document.documentElement.lang = language.value

/** The words of the language that is chosen. */
export const words = (): Words => (language.value === "ru" ? ru : en)

/** The name of a protocol. */
export const protocolName = (protocol: Protocol): string => (protocol === "hls" ? "HLS" : "WebRTC")

/** Why a camera does not play by one protocol. */
export const failureText = ({ obstacle, protocol }: Failure, codec = ""): string =>
  words()[`live_${obstacle}`](
    protocolName(protocol),
    codec === "hevc" ? "H.265" : codec.toUpperCase()
  )

/** Makes each format of a language once: that takes longer than a hundred uses of it. */
const once = <A>(make: (language: Language) => A): (() => A) => {
  const made = new Map<Language, A>()
  return () => {
    const known = made.get(language.value) ?? make(language.value)
    made.set(language.value, known)
    return known
  }
}

const plain = once((language) => new Intl.NumberFormat(language))
const whole = once((language) => new Intl.NumberFormat(language, { maximumFractionDigits: 0 }))
const tenths = once((language) => new Intl.NumberFormat(language, { maximumFractionDigits: 1 }))
const unitFormats = once(() => new Map<string, Intl.NumberFormat>())
const mediumTime = once((language) => new Intl.DateTimeFormat(language, { timeStyle: "medium" }))
const shortTime = once((language) => new Intl.DateTimeFormat(language, { timeStyle: "short" }))
const mediumDateTime = once(
  (language) => new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" })
)

const lists = once((language) => new Intl.ListFormat(language))

/** `north, south and west`. */
export const listOf = (names: ReadonlyArray<string>): string => lists().format(names)

export const count = (value: number): string => plain().format(value)

const unit = (value: number, unit: string, digits = 0): string => {
  const formats = unitFormats()
  const key = `${unit} ${digits}`
  let format = formats.get(key)
  if (format === undefined) {
    format = new Intl.NumberFormat(language.value, {
      style: "unit",
      unit,
      unitDisplay: "narrow",
      maximumFractionDigits: digits
    })
    formats.set(key, format)
  }
  return format.format(value)
}

/** `3d 4h`, `2h 5m`, `45s`: the two largest units. */
export const duration = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts = [
    [Math.floor(seconds / 86_400), "day"],
    [Math.floor(seconds / 3600) % 24, "hour"],
    [Math.floor(seconds / 60) % 60, "minute"],
    [seconds % 60, "second"]
  ] as const
  const first = parts.findIndex(([value]) => value > 0)
  if (first === -1) return unit(0, "second")
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, name]) => unit(value, name))
    .join(" ")
}

/** `0.4s`. */
export const seconds = (ms: number): string => unit(ms / 1000, "second", 1)

export const bitrate = (bits: number): string => {
  if (bits === 0) return "–"
  return bits >= 1_000_000
    ? `${tenths().format(bits / 1_000_000)} Mbit/s`
    : `${whole().format(bits / 1000)} kbit/s`
}

export const bytes = (value: number): string =>
  value >= 1e9 ? unit(value / 1e9, "gigabyte", 1) : unit(value / 1e6, "megabyte", 1)

export const clockTime = (at: number): string => mediumTime().format(at)

export const hourAndMinute = (at: number): string => shortTime().format(at)

export const dateTime = (at: number): string => mediumDateTime().format(at)
