/** A bitrate over time, by uPlot. */
import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { bitrate, hourAndMinute, language } from "./text.ts"

const height = 160

/** A colour of the theme. uPlot draws on a canvas, which does not know the page's colours. */
const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim()

const axis = (): uPlot.Axis => ({
  stroke: () => colour("--quiet"),
  grid: { stroke: () => colour("--line"), width: 1 },
  ticks: { show: false },
  font: "12px system-ui"
})

interface ChartProps {
  /** In milliseconds since 1970. */
  readonly times: ReadonlyArray<number>
  /** In bits per second. */
  readonly values: ReadonlyArray<number>
  readonly label: string
}

export const Chart = ({ label, times, values }: ChartProps) => {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const data: uPlot.AlignedData = [times.map((at) => at / 1000), [...values]]

  useEffect(() => {
    const element = place.current
    if (element === null) return
    const chart = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: (_, __, most) => [0, Math.max(100_000, most * 1.1)] } },
        axes: [
          {
            ...axis(),
            space: 90,
            values: (_, splits) => splits.map((at) => hourAndMinute(at * 1000))
          },
          { ...axis(), size: 90, values: (_, splits) => splits.map((value) => bitrate(value)) }
        ],
        series: [
          {},
          { stroke: () => colour("--accent"), width: 2, fill: () => colour("--accent-soft") }
        ]
      },
      data,
      element
    )
    plot.current = chart
    const resize = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }))
    resize.observe(element)
    const scheme = matchMedia("(prefers-color-scheme: dark)")
    const redraw = () => chart.redraw()
    scheme.addEventListener("change", redraw)
    return () => {
      scheme.removeEventListener("change", redraw)
      resize.disconnect()
      chart.destroy()
    }
    // made anew for another language, whose numbers differ
  }, [language.value])
  useEffect(() => plot.current?.setData(data), [times, values])

  return (
    <div
      class="chart"
      ref={place}
      role="img"
      aria-label={`${label}: ${bitrate(values.at(-1) ?? 0)}`}
    />
  )
}
