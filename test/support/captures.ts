/**
 * Messages as a real kernel (6.18) sent them: test/golden/netlink/NAME.hex, headed by the command that shows
 * the same object.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { eachMessage, type Message } from '../../src/netlink/message.ts'

const FOLDER = 'test/golden/netlink'

export const captureNames = readdirSync(FOLDER).map(file => file.replace('.hex', ''))

/** The message with its header. */
export function capturedBytes(name: string): Uint8Array {
  const text = readFileSync(`${FOLDER}/${name}.hex`, 'utf8').replace(/^#.*/gm, '')
  return Uint8Array.from(text.trim().split(/\s+/), byte => Number.parseInt(byte, 16))
}

export function captured(name: string): Message {
  for (const message of eachMessage(capturedBytes(name))) return message
  throw new Error(`${name} is empty`)
}
