/**
 * Runs nft commands: in this process through libnftables, or by `nft` where the library does not load.
 */

import { hasLibnftables, NftContext, type NftOptions, type NftResult } from '../ffi/libnftables.ts'
import { TsnetError } from '../model/errors.ts'
import { inodeHere } from '../netns/netns.ts'
import { findCommand, run } from './commands.ts'

const contexts = new Map<number, NftContext>()

function contextHere(): NftContext {
  const namespace = inodeHere()
  const context = contexts.get(namespace) ?? new NftContext()
  contexts.set(namespace, context)
  return context
}

/**
 * Opens the library's socket now. It waits for answers with select(2), which ends the whole process for a
 * descriptor from 1024 on; a process that will have so many calls this while it has few.
 */
export function prepareNft(): void {
  if (hasLibnftables()) contextHere()
}

/** What speaks nft here, or undefined. */
export const findNft = (): string | undefined => (hasLibnftables() ? 'libnftables' : findCommand('nft'))

/**
 * Runs commands as one transaction, in the namespace this thread is in.
 * @throws TsnetError `missing`: neither libnftables nor nft
 */
export async function runNft(commands: readonly string[], options: NftOptions = {}): Promise<NftResult> {
  const text = `${commands.join('\n')}\n`
  if (hasLibnftables()) return contextHere().run(text, options)
  const nft = findCommand('nft')
  if (nft === undefined) throw missingNft()
  // For JSON, nft reads a file twice, which a pipe does not allow; what lists is short.
  const { code, stdout, stderr } = options.json
    ? await run(nft, ['-j', ...(options.terse ? ['-t'] : []), text])
    : await run(nft, ['-f', '-'], { stdin: text })
  return { ok: code === 0, output: stdout, error: stderr }
}

export const missingNft = (): TsnetError =>
  new TsnetError('missing', 'nftables: neither libnftables.so.1 nor an nft command is there', {
    details: 'install libnftables1 or nftables',
  })

/** True when something that the commands name is not there. */
export const isMissing = ({ ok, error }: NftResult): boolean =>
  !ok && error.includes('No such file or directory')

/** True when something that the commands create is there already. */
export const isTaken = ({ ok, error }: NftResult): boolean => !ok && error.includes('File exists')

/** True when something that the commands delete is in use. */
export const isBusy = ({ ok, error }: NftResult): boolean => !ok && error.includes('Device or resource busy')

/** nft's words, without the quoted line that follows them. */
export const wordsOf = ({ error }: NftResult): string =>
  /Error: (.*)/.exec(error)?.[1]?.replace('Could not process rule: ', '') ?? error.trim()

/** A failure of the kernel or of nft that nobody expected. */
export const nftError = (what: string, result: NftResult): TsnetError =>
  new TsnetError('kernel', `nftables, ${what}: ${wordsOf(result)}`)
