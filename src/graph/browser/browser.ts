/**
 * The page of `tsnet graph --serve`, in the browser: it draws what it is sent (page/) and asks for nothing else.
 *
 *     events ──▶ picture   boxes, labels and lines, as they stand        draw.ts
 *                traffic   rates of the last minutes, and of whom        traffic.ts
 *                trouble   why there is nothing new
 *
 * Names are text and never anything else: elements are made one by one, and nothing is read as a document.
 */

import { drawPicture } from './draw.ts'
import { element } from './elements.ts'
import { TrafficView } from './traffic.ts'

const state = element('state')
const picture = element('picture') as unknown as SVGSVGElement
const traffic = new TrafficView(element('chart'), element('top') as HTMLTableSectionElement)

const events = new EventSource('events')
const hear = (kind: string, work: (value: never) => void) =>
  events.addEventListener(kind, ({ data }: MessageEvent<string>) => work(JSON.parse(data) as never))

events.addEventListener('open', () => {
  state.textContent = 'live'
})
events.addEventListener('error', () => {
  state.textContent = 'tsnet does not answer; trying again'
})
hear('picture', value => drawPicture(picture, value))
hear('traffic', value => traffic.show(value))
hear('trouble', (why: string) => {
  state.textContent = why === '' ? 'live' : why
})
