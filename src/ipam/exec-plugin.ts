/**
 * Runs another CNI plugin, as section 4 of the spec says: found in CNI_PATH, told by environment and
 * stdin, answering on stdout.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import { present } from '../model/present.ts'
import { type Surroundings, surroundings } from '../model/surroundings.ts'
import { worksForUs } from '../netns/orphans.ts'

export interface PluginCall {
  /** The plugin's file name, and the directories where it may lie. */
  plugin: string
  path: string[]
  /** CNI_COMMAND and whatever the command needs; the rest of the caller's environment goes along. */
  env: { CNI_COMMAND: string; [name: string]: string }
  config: Record<string, unknown>
  /** The key that names the plugin, for messages: `ipam.type` unless said otherwise. */
  key?: 'ipam.type' | 'type'
  timeoutMs?: number
}

const TIMEOUT_MS = 60_000
const LARGEST_OUTPUT = 10 * 1024 * 1024

/** How often, and with which pauses, a file is tried that somebody is just writing (ETXTBSY). */
const BUSY_TRIES = 50
const BUSY_PAUSE_MS = 100

/**
 * Runs the plugin.
 * @returns what it printed
 * @throws TsnetError `missing` no such plugin; `delegate` it failed, with its own code where it gave one
 */
export async function execPlugin(call: PluginCall): Promise<string> {
  const subject = call.key === 'type' ? '' : 'ipam: '
  const child = await start(await findPlugin(call), call.env, subject)
  // A plugin may well finish without having read its input.
  child.stdin?.on('error', () => {})
  child.stdin?.end(JSON.stringify(call.config))
  const { stdout, stderr, end } = await outputOf(child, call.timeoutMs ?? TIMEOUT_MS)
  if (stderr !== '') surroundings().complain(stderr)
  if (end === 'exit 0') return stdout
  const command = `${call.plugin} ${call.env.CNI_COMMAND}`
  throw (
    errorIn(stdout) ??
    new TsnetError('delegate', `${subject}${command} failed: ${stderr.trim() || stdout.trim() || end}`)
  )
}

/** @throws TsnetError `invalid-config` for more than a file name; `missing` */
async function findPlugin({ plugin, path, key = 'ipam.type' }: PluginCall): Promise<string> {
  if (!/^[^/\\\0]+$/.test(plugin) || plugin === '.' || plugin === '..') {
    throw new TsnetError('invalid-config', `${key}: ${shownPath(plugin)} is not the file name of a plugin`)
  }
  const candidates = path.filter(folder => folder !== '').map(folder => join(folder, plugin))
  const found = candidates.find(file => statSync(file, { throwIfNoEntry: false })?.isFile())
  if (found !== undefined) return found
  const { didYouMean } = await import('../model/nearest.ts')
  throw new TsnetError('missing', `failed to find plugin ${shownPath(plugin)} in path [${path.join(' ')}]`, {
    details: `install it into a directory of CNI_PATH, or change ${key}${didYouMean(plugin, pluginsIn(path))}`,
  })
}

/** The names that there are, and host-local, which needs no file. */
const pluginsIn = (path: readonly string[]): string[] => [
  ...new Set(['host-local', ...path.flatMap(folder => (folder === '' ? [] : filesIn(folder)))]),
]

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

async function start(file: string, env: Record<string, string>, subject: string): Promise<ChildProcess> {
  for (let attempt = 1; ; attempt++) {
    const { env: all, directory } = surroundings()
    const child = spawn(file, [], {
      env: { ...withoutCall(all), ...worksForUs(), ...env },
      stdio: 'pipe',
      ...present({ cwd: directory }),
    })
    try {
      await once(child, 'spawn')
      return child
    } catch (cause) {
      if (!hasCode(cause, 'ETXTBSY') || attempt === BUSY_TRIES) {
        throw new TsnetError('delegate', `${subject}cannot run ${file}: ${messageOf(cause)}`, { cause })
      }
      await pause(BUSY_PAUSE_MS)
    }
  }
}

/** Our environment without what was said to us alone. */
function withoutCall(env: Surroundings['env']): Surroundings['env'] {
  const { CNI_COMMAND, CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, CNI_ARGS, CNI_PATH, ...rest } = env
  return rest
}

interface Output {
  stdout: string
  stderr: string
  /** `exit 0`, `exit 1`, `killed by SIGSEGV`, … */
  end: string
}

async function outputOf(child: ChildProcess, timeoutMs: number): Promise<Output> {
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
  let size = 0
  let verdict: string | undefined
  const giveUp = (reason: string) => {
    verdict ??= reason
    child.kill('SIGKILL')
    // A grandchild may hold the other ends.
    child.stdout?.destroy()
    child.stderr?.destroy()
  }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > LARGEST_OUTPUT) giveUp(`it printed more than ${LARGEST_OUTPUT} bytes`)
      else output[stream].push(chunk)
    })
  }
  const timer = setTimeout(() => giveUp(`no answer within ${timeoutMs} ms`), timeoutMs)
  const [code, signal] = await once(child, 'close')
  clearTimeout(timer)
  return {
    stdout: Buffer.concat(output.stdout).toString(),
    stderr: Buffer.concat(output.stderr).toString(),
    end: verdict ?? (signal === null ? `exit ${code}` : `killed by ${signal}`),
  }
}

/** The error object that a plugin printed, passed on as it is. */
function errorIn(stdout: string): TsnetError | undefined {
  try {
    const { code, msg, details } = JSON.parse(stdout)
    if (!Number.isInteger(code) || typeof msg !== 'string') return undefined
    const more = typeof details === 'string' && details !== '' ? { details } : {}
    return new TsnetError('delegate', msg, { pluginCode: code, ...more })
  } catch {
    return undefined
  }
}
