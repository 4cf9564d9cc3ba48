/**
 * A graph as an SVG document.
 *
 *     graph ──columns.ts──▶ where everybody stands ──layout.ts──▶ boxes, labels, lines ──▶ a document
 *
 * Shapes are plain values (shapes.ts), so that a page can draw them without reading a document. Colours follow the reader's
 * light or dark page; the ground is drawn too, for readers whose page does not follow what they prefer.
 *
 * Limits: how wide a text is, is guessed from its letters.
 */

import type { Graph } from '../model.ts'
import { layOut } from './layout.ts'
import type { Picture, Shape } from './shapes.ts'
import { STYLE } from './style.ts'

/** A whole document. */
export const printSvg = (graph: Graph): string => document(layOut(graph), titleOf(graph))

const titleOf = ({ nodes }: Graph): string => {
  const host = nodes.find(node => node.kind === 'host')
  return `containers and networks of ${host?.name ?? 'this host'}`
}

function document({ width, height, shapes }: Picture, title: string): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}</style>`,
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto" markerUnits="userSpaceOnUse"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    `<rect class="ground" width="${width}" height="${height}" rx="8"/>`,
    ...shapes.map(element),
    '</svg>',
    '',
  ].join('\n')
}

function element(shape: Shape): string {
  if (shape.is === 'label') {
    const { style, x, y, text, anchor } = shape
    return `<text class="${style}" x="${x}" y="${y}" text-anchor="${anchor}">${escaped(text)}</text>`
  }
  const title = `<title>${escaped(shape.title)}</title>`
  if (shape.is === 'box') {
    const { style, x, y, width, height } = shape
    return `<rect class="${style}" x="${x}" y="${y}" width="${width}" height="${height}" rx="5">${title}</rect>`
  }
  const [a, b, c, d] = shape.points
  const path = `M${a.x} ${a.y}C${b.x} ${b.y} ${c.x} ${c.y} ${d.x} ${d.y}`
  return `<path class="${shape.style}" d="${path}" stroke-width="${shape.width}" marker-end="url(#arrow)">${title}</path>`
}

/** Characters that no XML document may have stand as nothing; what is seen of names has been made visible before. */
const escaped = (text: string): string =>
  text
    .replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"']/g, sign => `&#${sign.codePointAt(0)};`)
