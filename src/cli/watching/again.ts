/** Something that is printed again whenever something happens. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Terminal } from '../terminal.ts'
import { listen } from './watching.ts'

/** What comes in a burst is shown at its end. */
const PAUSE_MS = 200

/** From the top of an empty screen. */
const CLEAR = '\u001b[H\u001b[2J\u001b[3J'

/**
 * Prints at once, and after each thing that happens, until it is ended.
 * @param between what stands between two, where they do not replace each other
 * @throws TsnetError as listen, and what `print` throws
 */
export async function again(terminal: Terminal, print: () => Promise<void>, between = '\n'): Promise<void> {
  let isNews = true
  let wake = () => {}
  const news = () => {
    isNews = true
    wake()
  }
  const printing = (async () => {
    for (let isFirst = true; ; isFirst = false) {
      if (!isNews)
        await new Promise<void>(resolve => {
          wake = resolve
        })
      isNews = false
      if (terminal.lively) terminal.out(CLEAR)
      else if (!isFirst) terminal.out(between)
      await print()
      await sleep(PAUSE_MS)
    }
  })()
  // Who is succeeded may have done something in between.
  await Promise.race([printing, listen(news, printing, news)])
}
