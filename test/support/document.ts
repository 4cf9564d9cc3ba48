/**
 * A document of ours as somebody reads it who types what it says.
 *
 *     the indented blocks        commands, files, or what is printed
 *     `words` in a sentence      a command among others
 *     a line after `$ `          is typed, and after `client$ ` on another machine; what stands below it until the next
 *                                one is printed
 */

import { readFileSync } from 'node:fs'

export interface Typed {
  command: string
  /** Lines, in order; none: whatever it prints. `…` stands for anything, addresses, ids and sizes for any. */
  prints: string[]
  /** On another machine than this host. */
  isClient: boolean
}

export interface Document {
  /** The indented blocks, without their indentation. */
  blocks: string[]
  /** The block that begins so. */
  block(start: string): string
  /** A command that stands in a sentence, and begins so. */
  command(start: string): string
  /** All that is typed after a `$`, in order. @param heading in this section alone, such as `## Install` */
  typed(heading?: string): Typed[]
}

export function readDocument(path: string): Document {
  const text = readFileSync(path, 'utf8')
  const blocks = blocksIn(text)
  return {
    blocks,
    block(start) {
      const found = blocks.find(each => each.startsWith(start))
      if (found === undefined) throw new Error(`${path} has no block that starts with ${start}`)
      return found
    },
    command(start) {
      const found = [...text.matchAll(/`([^`\n]+)`/g)].find(([, words = '']) => words.startsWith(start))
      if (found?.[1] === undefined) throw new Error(`${path} has no command that starts with ${start}`)
      return found[1]
    },
    typed: (heading = '') => blocksIn(sectionOf(text, heading)).filter(isTyped).flatMap(typedIn),
  }
}

const blocksIn = (text: string): string[] =>
  [...text.matchAll(/^\n((?: {4}.*\n|\n(?= {4}))+)/gm)].map(([, block = '']) =>
    block.replace(/^ {4}/gm, '').trim(),
  )

function sectionOf(text: string, heading: string): string {
  if (heading === '') return text
  const [, after] = text.split(`\n${heading}\n`)
  if (after === undefined) throw new Error(`there is no section ${heading}`)
  return after.split('\n## ')[0] ?? ''
}

const isTyped = (block: string): boolean => /^(client)?\$ /.test(block)

const typedIn = (block: string): Typed[] =>
  block.split(/^(?=(?:client)?\$ )/m).map(each => {
    const [line = '', ...prints] = each.trimEnd().split('\n')
    return {
      command: line.slice(line.indexOf('$ ') + 2),
      prints: prints.filter(each => each.trim() !== ''),
      isClient: line.startsWith('client'),
    }
  })

/** What differs from host to host and from run to run. */
const VARYING =
  /…|\b\d+\.\d+\.\d+\.\d+\b|\b[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*::|\b[0-9a-f]{12,16}\b|\b\d+(?:\.\d+)? (?:B|KiB|MiB)\b|\s+/g

const varying = (found: string): string => {
  if (found === '…') return '.*'
  if (found.trim() === '') return ' +'
  if (/B$/.test(found)) return '[\\d.]+ [KMG]?i?B'
  if (found.endsWith('::')) return '[0-9a-f:]+::'
  return found.includes('.') ? '\\d+\\.\\d+\\.\\d+\\.\\d+' : '[0-9a-f]+'
}

/** What is printed, as it may be on another host; a line of nothing but `…` stands for any number of lines. */
export function isPrinted(lines: readonly string[], printed: string): boolean {
  const patterns = lines.map(line => (line.trim() === '…' ? '(?:.*\\n)*?' : `${patternOf(line)}\\n`))
  const rest = printed.split('\n').filter(line => line.trim() !== '')
  return new RegExp(`^${patterns.join('')}$`).test(rest.map(line => `${line}\n`).join(''))
}

/** A line of a document. */
function patternOf(line: string): string {
  const text = line.trim()
  let pattern = ''
  let end = 0
  for (const found of text.matchAll(VARYING)) {
    pattern += literally(text.slice(end, found.index)) + varying(found[0])
    end = found.index + found[0].length
  }
  return ` *${pattern}${literally(text.slice(end))} *`
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
