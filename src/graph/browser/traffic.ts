/** A chart of all containers together, and a table of those that most goes to and comes from. The only file that knows uPlot. */

import uPlot from 'uplot'
import type { Rate, Traffic } from '../page/told.ts'

const HEIGHT = 180

export class TrafficView {
  readonly #chart: uPlot
  readonly #table: HTMLTableSectionElement

  constructor(place: HTMLElement, table: HTMLTableSectionElement) {
    this.#table = table
    const colour = (name: string) => () => getComputedStyle(place).getPropertyValue(name)
    const axis = {
      stroke: colour('--text'),
      grid: { stroke: colour('--grid') },
      ticks: { stroke: colour('--grid') },
    }
    const series = (label: string, name: string): uPlot.Series => ({
      label,
      stroke: colour(name),
      width: 2,
      value: (_, value) => (value === null || value === undefined ? '' : perSecond(value)),
    })
    this.#chart = new uPlot(
      {
        width: place.clientWidth,
        height: HEIGHT,
        series: [{}, series('to containers', '--in'), series('from containers', '--out')],
        axes: [axis, { ...axis, size: 90, values: (_, ticks) => ticks.map(perSecond) }],
        scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, 1024)] } },
        cursor: { drag: { x: false, y: false } },
      },
      [[], [], []],
      place,
    )
    new ResizeObserver(() => this.#chart.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#chart.redraw(false))
  }

  show({ points, top }: Traffic): void {
    this.#chart.setData([
      points.map(({ at }) => at / 1000),
      points.map(point => point.in),
      points.map(point => point.out),
    ])
    this.#table.replaceChildren(...top.map(rowOf))
  }
}

function rowOf({ name, network, in: towards, out }: Rate): HTMLTableRowElement {
  const row = document.createElement('tr')
  for (const text of [name, network, perSecond(towards), perSecond(out)]) row.insertCell().textContent = text
  return row
}

const UNITS = ['B/s', 'KiB/s', 'MiB/s', 'GiB/s']

function perSecond(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1)
  return `${power === 0 ? Math.round(bytes) : (bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}
