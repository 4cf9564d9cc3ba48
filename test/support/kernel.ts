/**
 * A machine of its own with nothing but `lo`, and a conversation with its kernel.
 */

import { type Host, lab, type Namespace } from 'tsnet/lab'
import { type Netlink, openNetlink } from '../../src/netlink/netlink.ts'

export interface Kernel extends AsyncDisposable {
  host: Host
  nl: Netlink
  /** The commands that would have made the changes, in order. */
  commands: string[]
  /** What an iproute2 command prints with -j. */
  json(...command: string[]): Promise<Record<string, unknown>[]>
  namespace(name: string): Promise<Namespace & { nl: Netlink }>
}

export async function kernel(): Promise<Kernel> {
  const world = await lab()
  const host = await world.host('host')
  const commands: string[] = []
  const nl = host.inside(() => openNetlink(command => commands.push(command)))
  const opened = [nl]
  return {
    host,
    nl,
    commands,
    async json(...command) {
      const { stdout } = await host.run(...command)
      return stdout.trim() === '' ? [] : JSON.parse(stdout)
    },
    async namespace(name) {
      const namespace = await host.namespace(name)
      const inner = namespace.inside(() => openNetlink())
      opened.push(inner)
      return Object.assign(namespace, { nl: inner })
    },
    async [Symbol.asyncDispose]() {
      for (const each of opened) each[Symbol.dispose]()
      await world.end()
    },
  }
}
