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
