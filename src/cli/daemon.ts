/** `tsnet daemon`. */

import { SETTINGS_FILE } from '../control/settings.ts'
import { runDaemon } from '../daemon/daemon.ts'
import { METRICS_FORMS, parseMetricsAddress } from '../model/address/metrics-address.ts'
import { parseDuration } from '../model/duration.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import { type Terminal, terminalOf } from './terminal.ts'

export interface DaemonWords {
  config?: string
  replace?: boolean
  idle?: string
  metrics?: string
}

/**
 * Runs the daemon in the foreground; one line on stdout when it is ready, its log on stderr, each line with its time.
 * @param run does commands whose launcher hands them over
 */
export async function daemon(
  terminal: Terminal,
  { config = SETTINGS_FILE, replace = false, idle, metrics }: DaemonWords,
  run: (words: readonly string[], terminal: Terminal) => Promise<number>,
): Promise<void> {
  const idleMs = idle === undefined ? undefined : parseDuration(idle, '--idle')
  if (metrics !== undefined && metrics !== 'off' && parseMetricsAddress(metrics) === undefined)
    throw new TsnetError('invalid-environment', `--metrics: ${shown(metrics)} is not ${METRICS_FORMS}`)
  // Whoever started it in the background has left; its log then has no reader, which is no reason to end.
  process.stderr.on('error', () => {})
  await runDaemon({
    settingsPath: config,
    replace,
    idleMs,
    metrics,
    command: (words, streams, own) => run(words, { ...terminalOf(streams), daemon: own }),
    ready: line => terminal.out(`${line}\n`),
    log: line => terminal.error(`${new Date().toISOString()} ${line}\n`),
  })
}
