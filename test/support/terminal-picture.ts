/** What a terminal shows as a picture for the documents, and what such a picture says. */

const [WIDTH, HEIGHT, MARGIN] = [7.8, 18, 16]

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** @param lines without colours; those in capital letters are heads of tables */
export function pictureOf(title: string, lines: readonly string[]): string {
  const columns = Math.max(...lines.map(({ length }) => length))
  const [width, height] = [Math.ceil(columns * WIDTH) + 2 * MARGIN, lines.length * HEIGHT + 2 * MARGIN]
  const rows = lines.flatMap((line, index) =>
    line === ''
      ? []
      : [
          `<text x="${MARGIN}" y="${MARGIN + (index + 0.75) * HEIGHT}"${isHead(line) ? ' class="head"' : ''} textLength="${(line.length * WIDTH).toFixed(1)}">${escaped(line)}</text>`,
        ],
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<title>${escaped(title)}</title>
<style>
rect { fill: #0d1117; } .head { font-weight: 700; }
text { font: 13px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #e6edf3; white-space: pre; }
</style>
<rect width="${width}" height="${height}" rx="6"/>
${rows.join('\n')}
</svg>
`
}

const isHead = (line: string): boolean => /^[A-Z]{2,} /.test(line)

/** The lines of a picture that pictureOf made, but for empty ones. */
export const linesIn = (svg: string): string[] =>
  [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text = '']) =>
    text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  )

/** What two pictures of one thing have in common: no numbers, columns of any width, rows in any order. */
export const shapeOf = (lines: readonly string[]): string[] =>
  lines
    .map(line =>
      line
        .trim()
        .split(/\s+/)
        .map(cell => (/^[\d.:]+[kMGTP]?$/.test(cell) ? '0' : cell))
        .join(' '),
    )
    .filter(line => line !== '')
    .sort()
