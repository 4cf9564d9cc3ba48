/**
 * podman's door: the driver plugin of netavark, by which podman from 5 on has networks, and which it starts as
 *
 *     tsnet create                  stdin: a network     stdout: the network, completed
 *     tsnet setup NETNS             stdin: a container   stdout: its interface, addresses and name servers
 *     tsnet teardown NETNS          stdin: a container   stdout: nothing
 *     tsnet info                                         stdout: versions
 *
 *     request.ts    what came, checked, as plain values
 *     create.ts     a network of podman's is one of networks/: made for it, or one that is there and that it joins
 *     container.ts  chain/ puts containers on it, and takes them off
 *     status.ts     what the list answered, in the words of netavark
 *
 * So they stand on the same bridges, under the same records, rules and names as what any other runtime puts there, and
 * whoever looks at networks sees them. Addresses are given out by the list, whoever asks: podman is told that they are
 * none of its own (`ipam_options.driver`).
 *
 * A network of podman's and the list that was made for it know each other by podman's id. Nobody tells when podman's is
 * removed: networks/abandoned.ts. A list that was lost is made anew, as all that it holds comes with every container.
 *
 * An error is `{"error": "…"}` with exit code 1, and has changed nothing; a teardown goes to the end, and succeeds for
 * what is not there.
 *
 * Limits: no VLANs, VRFs, or options for one container. What a container is published on reaches networks that publish;
 * on others its ports are left out, as the same list comes to all networks of a container.
 *
 * Source: netavark, plugin-API.md, API version 1.0.0.
 */

import type { Answer } from '../cni/cni.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { parseJson } from '../model/json/json.ts'
import { shownPath } from '../model/json/shown.ts'
import { VERSION } from '../model/version.ts'
import type { Host } from '../networks/networks.ts'
import { setUp, tearDown } from './container.ts'
import { create } from './create.ts'
import { readContainer, readNetwork } from './request.ts'

const API_VERSION = '1.0.0'

/** Where a call comes from. */
export interface Caller {
  words: readonly string[]
  readStdin: () => string
  host: Host
}

/** Answers one call. Whatever happens, it resolves. */
export async function answer(caller: Caller): Promise<Answer> {
  try {
    const result = await carryOut(caller)
    return { stdout: result === undefined ? '' : `${JSON.stringify(result)}\n`, exitCode: 0 }
  } catch (thrown) {
    return { stdout: `${JSON.stringify({ error: inWords(thrown) })}\n`, exitCode: 1 }
  }
}

async function carryOut({
  words: [command = '', netns],
  readStdin,
  host,
}: Caller): Promise<object | undefined> {
  switch (command) {
    case 'create':
      return create(readNetwork(parseJson(readStdin())), host)
    case 'setup':
      return setUp(readContainer(parseJson(readStdin())), pathIn(netns), host)
    case 'teardown':
      await tearDown(readContainer(parseJson(readStdin())), host)
      return undefined
    case 'info':
      return { version: VERSION, api_version: API_VERSION }
  }
  throw new TsnetError('invalid-environment', `${command}: is none of create, setup, teardown and info`)
}

// A relative path depends on a working directory that nobody chose.
function pathIn(netns: string | undefined): string {
  if (netns?.startsWith('/')) return netns
  throw new TsnetError(
    'invalid-environment',
    `setup: ${shownPath(netns ?? '')} is not an absolute path of a namespace`,
  )
}

/** podman shows one text. */
function inWords(thrown: unknown): string {
  const details = thrown instanceof TsnetError ? thrown.details : undefined
  return [messageOf(thrown) || 'no message', details].filter(Boolean).join('; ')
}
