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

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** Bytes, as `1.5 MiB`. */
export function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), UNITS.length - 1)
  return `${power === 0 ? bytes : (bytes / 1024 ** power).toFixed(1)} ${UNITS[power]}`
}
