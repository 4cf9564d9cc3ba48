/** Shapes become elements. */

import type { Picture, Shape } from '../svg/shapes.ts'
import { shape as make } from './elements.ts'

/** In place of what was drawn before. */
export function drawPicture(svg: SVGSVGElement, { width, height, shapes }: Picture): void {
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
  svg.setAttribute('width', String(width))
  svg.setAttribute('height', String(height))
  const [defs] = svg.getElementsByTagName('defs')
  svg.replaceChildren(...(defs === undefined ? [] : [defs]), ...shapes.map(elementOf))
}

function elementOf(shape: Shape): SVGElement {
  if (shape.is === 'label') {
    const { style, x, y, anchor, text } = shape
    const label = make('text', { class: style, x, y, 'text-anchor': anchor })
    label.textContent = text
    return label
  }
  const made = shape.is === 'box' ? boxOf(shape) : lineOf(shape)
  const title = make('title', {})
  title.textContent = shape.title
  made.append(title)
  return made
}

const boxOf = ({ style, x, y, width, height }: Shape & { is: 'box' }): SVGElement =>
  make('rect', { class: style, x, y, width, height, rx: 5 })

function lineOf({ style, points, width }: Shape & { is: 'line' }): SVGElement {
  const [a, b, c, d] = points
  const path = `M${a.x} ${a.y}C${b.x} ${b.y} ${c.x} ${c.y} ${d.x} ${d.y}`
  return make('path', { class: style, d: path, 'stroke-width': width, 'marker-end': 'url(#arrow)' })
}
