/** Small things that charts are made of. */

export const WIDTH = 960

/** A piece of a picture, from (0, 0) to the right and down. */
export interface Drawn {
  svg: string
  height: number
}

export const escapeText = (words: string): string =>
  words.replace(/[&<>"]/g, sign => `&#${sign.codePointAt(0)};`)

/** @param anchor which end of the words is at x */
export const text = (x: number, y: number, words: string, style = '', anchor = 'start'): string =>
  `<text x="${round(x)}" y="${round(y)}" class="${style}" text-anchor="${anchor}">${escapeText(words)}</text>`

export const round = (value: number): number => Math.round(value * 10) / 10

/** Three digits that count. */
export const figure = (value: number): string =>
  value >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))

export const isOurs = (by: string): boolean => by.startsWith('tsnet')

const moved = ({ svg }: Drawn, x: number, y: number): string =>
  `<g transform="translate(${round(x)} ${round(y)})">${svg}</g>`

/** One below the other. @param gap between two */
export function stack(drawings: readonly Drawn[], gap = 0): Drawn {
  let height = 0
  const svg = drawings.map(drawing => {
    const at = height
    height += drawing.height + gap
    return moved(drawing, 0, at)
  })
  return { svg: svg.join('\n'), height: Math.max(0, height - gap) }
}

/** In rows from left to right, each as high as the highest in it. */
export function inColumns(drawings: readonly Drawn[], columns: number): Drawn {
  const rows = Array.from({ length: Math.ceil(drawings.length / columns) }, (_, row) => {
    const those = drawings.slice(row * columns, (row + 1) * columns)
    return {
      svg: those.map((drawing, column) => moved(drawing, (column * WIDTH) / columns, 0)).join('\n'),
      height: Math.max(...those.map(({ height }) => height)),
    }
  })
  return stack(rows)
}

/** Lines of small text no longer than the picture is wide. */
export function paragraph(words: string): Drawn {
  const lines: string[] = []
  for (const word of words.split(' ')) {
    const longer = `${lines.at(-1) ?? ''} ${word}`
    if (lines.length > 0 && longer.length <= LETTERS) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return {
    svg: lines.map((line, index) => text(0, 12 + index * 15, line.trim(), 'small')).join('\n'),
    height: lines.length * 15 + 3,
  }
}

/** Of 11 px, in the width of the picture. */
const LETTERS = 165
