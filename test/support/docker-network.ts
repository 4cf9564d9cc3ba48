/**
 * A real dockerd with our drivers, on a site:
 *
 *     client eth0 ── lan host ─── ts-front ── containers of Docker, and of whoever else joins them
 */

import type { Test } from 'tap'
import { type Host, type Running, type Snapshot, snapshot, waitFor } from 'tsnet/lab'
import { Command } from './daemon.ts'
import { Dockerd, offerDrivers } from './dockerd.ts'
import { at, leftovers, type Site, siteFor } from './site.ts'

export interface DockerSite {
  site: Site
  host: Host
  tsnet: Command
  daemon: Running
  docker: Dockerd
  /** Of the host, before anything was done with Docker. */
  before: Snapshot
}

/** @param options of dockerd */
export async function dockerSite(t: Test, ...options: string[]): Promise<DockerSite> {
  const site = await siteFor(t)
  const { host } = site
  await offerDrivers(host)
  const tsnet = new Command(host, 'iptables')
  const daemon = await tsnet.daemon()
  const docker = await Dockerd.start(host, ...options)
  const before = await snapshot(host)
  return { site, host, tsnet, daemon, docker, before }
}

/** Of `docker network create`: a network of ours, with addresses of ours. */
export const OURS = ['-d', 'tsnet', '--ipam-driver', 'tsnet']

/** What a web server says to a place. @param url without its scheme and path */
export const page = (place: Host, url: string): Promise<string> =>
  waitFor(() => place.fetch(`http://${url}/cgi-bin/who`), { what: `an answer of ${url}` }).then(({ body }) =>
    body.trim(),
  )

/** What the client reads at a port of the host. */
export const clientReads = ({ client }: Site, port: number): Promise<string> =>
  page(client, `${at.host.v4}:${port}`)

/** What a container reads from another by its name. */
export const reads = (docker: Dockerd, from: string, name: string) =>
  waitFor(() => docker.run('exec', from, '/bin/busybox', 'wget', '-qO-', `http://${name}/cgi-bin/who`), {
    what: `${name} to answer ${from}`,
  })

export const members = async (
  tsnet: Command,
  network: string,
): Promise<{ name: string; addresses: string[] }[]> =>
  JSON.parse((await tsnet.run('network', 'inspect', network)).stdout)[0].attachments

/** Of dockerd and of the runtimes beside it, what the first network leaves of folders, and what ends by itself. */
const NOT_OURS =
  /^file \/etc\/cni\/net\.d appeared|^connection host \S+ (TIME_WAIT )?src=(\S+) dst=\2 |^mount|^socket host unix (\/run\/tsnet|@)/

/** What is left that has not been there before, once that is over which ends by itself. */
export async function residue(host: Host, before: Snapshot, docker: Dockerd): Promise<string[]> {
  let left: string[] = []
  const keeps = await docker.keeps()
  const clean = async () => {
    left = leftovers(before, await snapshot(host), keeps).filter(line => !NOT_OURS.test(line))
    return left.length === 0
  }
  await waitFor(clean, { what: 'the host to be as before' }).catch(() => {})
  return left
}
