/** Texts of strangers and sizes, for a terminal or a picture. */

/**
 * The text with nothing in it that moves a cursor, turns the direction of writing, or cannot be seen: all of that stands as
 * `\u{1b}`. Source: the general categories of Unicode (chapter 4.5).
 */
export const visible = (text: string): string =>
  /^[ -~]*$/.test(text)
    ? text
    : text.replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu, sign => `\\u{${sign.codePointAt(0)?.toString(16)}}`)

/** Takes two columns of a terminal. Source: East Asian Width (UAX #11), as far as names go. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\uff01-\uff60]/u

/** How many columns of a terminal it takes. */
export const columnsOf = (text: string): number =>
  /^[ -~]*$/.test(text)
    ? text.length
    : [...text].reduce((sum, sign) => sum + (/\p{M}/u.test(sign) ? 0 : WIDE.test(sign) ? 2 : 1), 0)

/** As much of it as so many columns hold, with a sign that there is more. */
export function fitted(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  let [taken, used] = ['', 0]
  for (const sign of text) {
    used += columnsOf(sign)
    if (used > columns - 1) break
    taken += sign
  }
  return `${taken}…`.slice(0, Math.max(columns, 0))
}

/** A colour takes no room. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colours begin with
const SIGNS = /\u001b\[\d*m|./gsu

const roomOf = (text: string): number =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  columnsOf(text.includes('\u001b') ? text.replace(/\u001b\[\d*m/g, '') : text)

/**
 * The text in lines of so many columns at most: broken at spaces and behind commas and slashes, and where there is none
 * in time, anywhere. Colours may be in it.
 * @returns one line at least
 */
export function wrapped(text: string, columns: number): string[] {
  const most = Math.max(columns, 2)
  if (roomOf(text) <= most) return [text]
  const lines: string[] = []
  let line = ''
  for (const piece of text.split(/(?<=[ ,/])(?! )/)) {
    if (roomOf(line + piece.trimEnd()) <= most) {
      line += piece
      continue
    }
    if (line !== '') lines.push(line.trimEnd())
    const parts = cut(piece, most)
    lines.push(...parts.slice(0, -1).map(part => part.trimEnd()))
    line = parts.at(-1) ?? ''
  }
  return [...lines, line.trimEnd()].filter(each => each !== '')
}

/** Lines below each other, the first behind a text that stands in front of all of them as space. */
export function indented(begin: string, text: string, columns = Number.POSITIVE_INFINITY): string {
  const room = roomOf(begin)
  return wrapped(text, columns - room)
    .map((line, index) => (index === 0 ? begin : ' '.repeat(room)) + line)
    .join('\n')
}

/** Parts of so many columns. */
function cut(piece: string, most: number): string[] {
  const parts: string[] = []
  let part = ''
  for (const sign of piece.match(SIGNS) ?? []) {
    if (roomOf(part + sign.trimEnd()) > most) {
      parts.push(part)
      part = ''
    }
    part += sign
  }
  return [...parts, part]
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Bytes, as `1.5 MiB`. */
export function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1)
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}
