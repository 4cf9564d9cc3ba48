/**
 * What `tsnet publish 8080:80 NAME` must do for any running container that has `web` of busybox.ts: pages
 * for the host and a client, over both families; afterwards refusals, and nothing left.
 */

import type { Test } from 'tap'
import { type Host, type Running, type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import { Command } from './daemon.ts'
import { at, families, inUrl, leftovers, type Site } from './site.ts'

export const PORT = 8080

/** What the kernel remembers for two minutes of connections that ended. */
const ENDED = /^connection \S+ tcp (FIN_WAIT|CLOSE_WAIT|LAST_ACK|TIME_WAIT|CLOSE) /

export class Publishing {
  readonly site: Site
  readonly command: Command
  readonly #daemon: Running
  readonly #before: Snapshot

  private constructor(site: Site, command: Command, daemon: Running, before: Snapshot) {
    this.site = site
    this.command = command
    this.#daemon = daemon
    this.#before = before
  }

  /**
   * Starts the daemon.
   * @param before what the host shall hold in the end; default what it holds now
   */
  static async begin(
    site: Site,
    { env = {}, before }: { env?: Record<string, string>; before?: Snapshot } = {},
  ): Promise<Publishing> {
    const held = await snapshot(site.host)
    const command = new Command(site.host, 'iptables', env)
    return new Publishing(site, command, await command.daemon(), before ?? held)
  }

  /** Publishes, and fetches the page from everywhere. */
  async published(t: Test, ...words: string[]): Promise<void> {
    await this.command.run('publish', ...words)
    await this.reaches(t)
  }

  /** The page of `web` at the host's port, from everywhere. */
  async reaches(t: Test): Promise<void> {
    for (const [place, address] of this.#ways()) {
      const body = await read(place, address)
      t.match(body, /^web saw [0-9a-f.:]+\n$/, `${place.name} at ${address}`)
    }
  }

  /**
   * The other way: a service of the host's loopback answers on the container's, and no longer afterwards.
   * @param exec runs words of a shell in the container
   */
  async reversed(t: Test, name: string, exec: (command: string) => Promise<string>): Promise<void> {
    const server = this.site.host.serveHttp(8000, peer => `the host saw ${peer}`, '127.0.0.1')
    const asks = () => exec('/bin/busybox wget -qO- http://127.0.0.1:8000/')
    await t.rejects(asks(), `nobody listens in ${name} yet`)
    await this.command.run('publish', '--reverse', '8000:8000', name)
    t.match(await asks(), /^the host saw 127\.0\.0\.1$/m)
    await this.command.run('unpublish', '8000')
    await t.rejects(asks(), `nobody listens in ${name} any more`)
    await server.close()
  }

  /** Who the container says the client is. */
  async seenFromClient(): Promise<string> {
    return (await read(this.site.client, at.host.v4)).replace(/^web saw |\n$/g, '')
  }

  /** Unpublishes; then nobody gets in. */
  async unpublished(t: Test, word = String(PORT)): Promise<void> {
    await this.command.run('unpublish', word)
    await this.refuses(t)
  }

  async refuses(t: Test): Promise<void> {
    for (const [place, address] of this.#ways()) {
      await t.rejects(
        place.fetch(`http://${inUrl(address)}:${PORT}/`),
        { code: 'ECONNREFUSED' },
        `${place.name} at ${address}`,
      )
    }
  }

  /** Waits until the daemon says so. */
  async logged(text: string): Promise<void> {
    await waitFor(() => this.#daemon.stderr.includes(text), { what: text })
  }

  /** Waits until nothing is published any more. */
  async ended(): Promise<void> {
    const gone = async () => (await this.command.ports()).length === 0
    await waitFor(gone, { what: 'the publication to end' })
  }

  /**
   * Stops the daemon and compares.
   * @param runtime matches what the runtime keeps for itself
   */
  async leavesNothing(t: Test, runtime: RegExp): Promise<void> {
    t.same(await this.command.ports(), [])
    const { code, stderr } = await this.#daemon.stop()
    t.equal(code, 0, stderr)
    const left = leftovers(this.#before, await snapshot(this.site.host), runtime)
    t.same(
      left.filter(line => !ENDED.test(line)),
      [],
    )
  }

  #ways(): [place: Host, address: string][] {
    const { host, client } = this.site
    const inside = ['127.0.0.1', '::1', ...families.map(family => at.host[family])]
    return [
      ...inside.map((address): [Host, string] => [host, address]),
      ...families.map((family): [Host, string] => [client, at.host[family]]),
    ]
  }
}

async function read(place: Host, address: string): Promise<string> {
  const url = `http://${inUrl(address)}:${PORT}/cgi-bin/who`
  const page = await waitFor(() => place.fetch(url), { what: `${place.name} to read ${url}` })
  return page.body
}
