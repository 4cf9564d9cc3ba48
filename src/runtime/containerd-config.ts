/**
 * What containerd's configuration says of the places that others look at.
 * Source: containerd-config.toml(5): `imports` are read after the file that names them, and what a later one
 * says counts.
 */

import { basename, dirname, isAbsolute, join } from 'node:path'
import { commandLine, listProcesses, processName, seesOurFiles } from '../netns/processes.ts'
import { listNames } from './files.ts'
import { fitsPattern } from './path.ts'
import { flagAt, keysAt, readToml, type Toml, textAt, textsAt } from './toml.ts'

export const CONTAINERD_CONFIG = '/etc/containerd/config.toml'

export interface ContainerdConfig {
  /** Folder of its running tasks; absent where nothing is said. */
  state?: string
  /** Its socket. */
  address?: string
  /** Where it looks for plugins when it puts pods on a network. */
  pluginFolders: string[]
  /** Where it looks for the network lists of pods; absent where nothing is said. */
  listFolder?: string
  /** False where it is told to have nothing to do with Kubernetes, as Docker's packages tell it. */
  hasPods: boolean
  /** Whether systemd manages control groups of pods; absent where nothing is said. */
  systemdCgroup?: boolean
}

/** The plugin that speaks with Kubernetes, by the version of the file: 3 and 4, then 2. */
const CRI = ['io.containerd.cri.v1.runtime', 'io.containerd.grpc.v1.cri']

/** The configurations of those that run and see the files that we see: as each was told, else the usual one. */
export function runningContainerds(): string[] {
  const files = listProcesses()
    .filter(pid => processName(pid) === 'containerd' && seesOurFiles(pid))
    .map(pid => optionOf(commandLine(pid), '-c', '--config') ?? CONTAINERD_CONFIG)
  return [...new Set(files)]
}

/** `-c FILE`, `--config FILE`, `--config=FILE`. */
function optionOf(words: readonly string[], ...names: string[]): string | undefined {
  for (const [index, word] of words.entries()) {
    if (names.includes(word)) return words[index + 1]
    const [name = '', value] = word.split('=', 2)
    if (value !== undefined && names.includes(name)) return value
  }
  return undefined
}

/** By which that plugin is turned off; its first name is of version 1. */
const NO_PODS: readonly string[] = ['cri', ...CRI]

/** @param root a folder that stands for `/` */
export function readContainerdConfig(root = '', path = CONTAINERD_CONFIG): ContainerdConfig {
  const files = withImports(root, path)
  const last = (...keys: string[]) =>
    files.map(file => textAt(file, ...keys)).findLast(each => each !== undefined)
  const [state, address] = [last('state'), last('grpc', 'address')]
  const folders = files.map(file =>
    CRI.flatMap(name => ['bin_dirs', 'bin_dir'].flatMap(key => textsAt(file, 'plugins', name, 'cni', key))),
  )
  const listFolder = files
    .flatMap(file => CRI.map(name => textAt(file, 'plugins', name, 'cni', 'conf_dir')))
    .findLast(each => each !== undefined)
  const systemdCgroup = files
    .flatMap(file => CRI.flatMap(name => flagsBelow(file, 'plugins', name, 'containerd', 'runtimes')))
    .at(-1)
  return {
    ...(systemdCgroup !== undefined && { systemdCgroup }),
    ...(listFolder !== undefined && { listFolder }),
    ...(state !== undefined && { state }),
    ...(address !== undefined && { address }),
    pluginFolders: folders.findLast(each => each.length > 0) ?? [],
    hasPods: !files.some(file => textsAt(file, 'disabled_plugins').some(name => NO_PODS.includes(name))),
  }
}

/** Of each runtime that pods can have. */
const flagsBelow = (file: Toml, ...keys: string[]): boolean[] =>
  keysAt(file, ...keys).flatMap(runtime => flagAt(file, ...keys, runtime, 'options', 'SystemdCgroup') ?? [])

/** A file and what it imports, in the order in which they are read. */
function withImports(root: string, path: string, seen = new Set<string>()): Toml[] {
  if (seen.has(path)) return []
  seen.add(path)
  const file = readToml(root + path)
  if (file === undefined) return []
  const imported = textsAt(file, 'imports')
    .map(each => (isAbsolute(each) ? each : join(dirname(path), each)))
    .flatMap(each => expand(root, each))
  return [file, ...imported.flatMap(each => withImports(root, each, seen))]
}

/** The files that a pattern means, whose last part may have `*` and `?` in it. */
function expand(root: string, pattern: string): string[] {
  const [folder, name] = [dirname(pattern), basename(pattern)]
  if (!/[*?]/.test(name)) return [pattern]
  const names = listNames(root + folder).filter(each => fitsPattern(each, name))
  return names.sort().map(each => join(folder, each))
}
