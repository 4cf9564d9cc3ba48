/** `tsnet daemon`. */

import { SETTINGS_FILE } from '../control/settings.ts'
import { runDaemon } from '../daemon/daemon.ts'
import { parseDuration } from '../model/duration.ts'
import { type Terminal, terminalOf } from './terminal.ts'

/**
 * Runs the daemon in the foreground; one line on stdout when it is ready, its log on stderr, each line with its time.
 * @param run does commands whose launcher hands them over
 */
export async function daemon(
  terminal: Terminal,
  { config = SETTINGS_FILE, replace = false, idle }: { config?: string; replace?: boolean; idle?: string },
  run: (words: readonly string[], terminal: Terminal) => Promise<number>,
): Promise<void> {
  const idleMs = idle === undefined ? undefined : parseDuration(idle, '--idle')
  // Whoever started it in the background has left; its log then has no reader, which is no reason to end.
  process.stderr.on('error', () => {})
  await runDaemon({
    settingsPath: config,
    replace,
    idleMs,
    command: (words, streams) => run(words, terminalOf(streams)),
    ready: line => terminal.out(`${line}\n`),
    log: line => terminal.error(`${new Date().toISOString()} ${line}\n`),
  })
}
