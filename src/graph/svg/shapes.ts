/** What a picture is made of, as plain values: the page draws the same. Lengths are in pixels. */

export interface Box {
  is: 'box'
  style: 'host' | 'uplink' | 'network' | 'container' | 'port' | 'peer' | 'others'
  x: number
  y: number
  width: number
  height: number
  /** What it stands for. */
  of: string
  /** All of what its label says a part of. */
  title: string
}

export interface Label {
  is: 'label'
  style: 'name' | 'place' | 'small'
  x: number
  y: number
  text: string
  anchor: 'start' | 'middle' | 'end'
}

/** A curve with an arrow at its end. */
export interface Line {
  is: 'line'
  style: 'published' | 'talks'
  /** Where it begins and ends, and what it bends by: a cubic Bézier curve. */
  points: readonly [Point, Point, Point, Point]
  width: number
  title: string
}

export interface Point {
  x: number
  y: number
}

export type Shape = Box | Label | Line

export interface Picture {
  width: number
  height: number
  /** From the back to the front. */
  shapes: Shape[]
}
